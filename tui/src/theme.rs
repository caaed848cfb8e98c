// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only place that knows colours. A tone says what a thing means; the symbol or word beside it says the same, so
//! that nothing is lost without colour (`NO_COLOR`, a monochrome terminal, a colour-blind reader).

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

/// What a piece of text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    /// Less important than its neighbours.
    Dim,
    Strong,
    Good,
    Warn,
    Bad,
    /// Links, keys, the name of the screen.
    Accent,
    /// The row under the cursor.
    Selected,
    /// A bar or a sparkline.
    Bar,
    /// A line of a diff that comes or goes.
    Added,
    Removed,
}

/// How much the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Palette {
    Color,
    Mono,
}

/// Which characters the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyphs {
    Unicode,
    Ascii,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    pub palette: Palette,
    pub glyphs: Glyphs,
}

impl Theme {
    pub const COLOR: Self = Self { palette: Palette::Color, glyphs: Glyphs::Unicode };
    pub const MONO: Self = Self { palette: Palette::Mono, glyphs: Glyphs::Unicode };
    pub const ASCII: Self = Self { palette: Palette::Mono, glyphs: Glyphs::Ascii };

    /// From `NO_COLOR` (any value but empty) and the character set of the locale.
    pub fn of_environment() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let palette = if set("NO_COLOR").is_some() { Palette::Mono } else { Palette::Color };
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let plain = matches!(locale.as_str(), "c" | "posix") || locale.contains("8859");
        Self { palette, glyphs: if plain { Glyphs::Ascii } else { Glyphs::Unicode } }
    }

    /// A theme by the name the palette uses.
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "color" => Some(Self::COLOR),
            "mono" => Some(Self::MONO),
            "ascii" => Some(Self::ASCII),
            _ => None,
        }
    }

    pub fn style(self, tone: Tone) -> Style {
        let style = match tone {
            Tone::Dim => Style::new().add_modifier(Modifier::DIM),
            Tone::Strong | Tone::Accent | Tone::Bad => Style::new().add_modifier(Modifier::BOLD),
            Tone::Selected => Style::new().add_modifier(Modifier::REVERSED),
            Tone::Plain | Tone::Good | Tone::Warn | Tone::Bar | Tone::Added | Tone::Removed => Style::new(),
        };
        match (self.palette, color(tone)) {
            (Palette::Color, Some(color)) => style.fg(color),
            _ => style,
        }
    }
}

/// The sixteen colours every terminal lets its user choose; nothing that would fight a light background.
fn color(tone: Tone) -> Option<Color> {
    match tone {
        Tone::Good | Tone::Added => Some(Color::Green),
        Tone::Warn => Some(Color::Yellow),
        Tone::Bad | Tone::Removed => Some(Color::Red),
        Tone::Accent | Tone::Bar => Some(Color::Cyan),
        Tone::Plain | Tone::Dim | Tone::Strong | Tone::Selected => None,
    }
}

/// Our own symbols in ASCII; letters of other scripts come from data and stay.
const ASCII: &[(&str, &str)] = &[
    ("✓", "+"),
    ("✗", "x"),
    ("▸", ">"),
    ("◀", "<"),
    ("▲", "^"),
    ("▼", "v"),
    ("↑", "^"),
    ("↓", "v"),
    ("→", ">"),
    ("─", "-"),
    ("│", "|"),
    ("┌", "+"),
    ("┐", "+"),
    ("└", "+"),
    ("┘", "+"),
    ("┬", "+"),
    ("┴", "+"),
    ("·", "-"),
    ("–", "-"),
    ("…", "~"),
    ("▏", "|"),
    ("▁", "_"),
    ("▂", "_"),
    ("▃", "."),
    ("▄", "-"),
    ("▅", "-"),
    ("▆", "="),
    ("▇", "="),
    ("█", "#"),
    ("▓", "#"),
    ("▒", "+"),
    ("░", "."),
];

/// Replaces our symbols in a drawn buffer, so that no view needs to know two spellings.
pub fn to_ascii(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if let Some((_, plain)) = ASCII.iter().find(|(symbol, _)| *symbol == cell.symbol()) {
            cell.set_symbol(plain);
        }
    }
}
