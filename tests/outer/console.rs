// SPDX-License-Identifier: MIT OR Apache-2.0
//! The console in a real terminal (tmux, 80×24): a route is edited and traffic moves; it idles at no cost and leaves the
//! terminal as it found it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::support::client::get;
use super::support::daemon::{Daemon, WEB, binary, upstream};
use super::support::origin::Origin;
use super::support::{neighbour, output_of, pause, wait_until};

/// What the shell shows when the console has ended.
const ENDED: &str = "console-ended-with";

/// Processor time that an idle console may use in [`IDLE`].
const IDLE_TICKS_MAX: u64 = 15;

const IDLE: Duration = Duration::from_secs(3);

/// A terminal of its own.
struct Terminal {
    program: PathBuf,
    socket: PathBuf,
}

impl Terminal {
    /// A shell in a terminal of 80 columns and 24 lines, in which the console runs.
    fn start(daemon: &Daemon) -> Option<Self> {
        let terminal = Self { program: neighbour("tmux")?, socket: daemon.path("tmux") };
        let console = format!(
            "{} --socket {} console; echo {ENDED} $?; stty -a | tr ';' '\\n' | grep -w echo; exec cat",
            binary().display(),
            daemon.socket().display()
        );
        let mut command = terminal.tmux();
        command.args(["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "-s", "outer"]);
        output_of(command.arg(format!("sh -c '{}'", console.replace('\'', "'\\''"))));
        Some(terminal)
    }

    fn tmux(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("-S").arg(&self.socket).env_remove("TMUX").env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
        command
    }

    fn press(&self, keys: &[&str]) {
        for key in keys {
            output_of(self.tmux().args(["send-keys", "-t", "outer", key]));
        }
    }

    fn screen(&self) -> String {
        output_of(self.tmux().args(["capture-pane", "-p", "-t", "outer"]))
    }

    #[track_caller]
    fn shows(&self, what: &str) {
        let mut last = String::new();
        let start = weirgate::clock::now();
        while !last.contains(what) {
            assert!(weirgate::clock::now() - start < Duration::from_secs(20), "{what:?} never came:\n{last}");
            pause(Duration::from_millis(50));
            last = self.screen();
        }
    }

    /// The process of the console.
    fn console_pid(&self) -> u32 {
        let shell = output_of(self.tmux().args(["display-message", "-p", "-t", "outer", "#{pane_pid}"]));
        let shell = shell.trim();
        let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
        children.split_whitespace().next().expect("the console runs").parse().unwrap()
    }

    /// The shell is back, in a terminal that echoes and shows no leftovers.
    #[track_caller]
    fn is_restored(&self) {
        self.shows(ENDED);
        let modes = output_of(self.tmux().args([
            "display-message",
            "-p",
            "-t",
            "outer",
            "#{alternate_on} #{cursor_flag} #{mouse_any_flag}",
        ]));
        assert_eq!(modes.trim(), "0 1 0", "{}", self.screen());
        self.shows(" echoe");
        let screen = self.screen();
        let has = |mode: &str| screen.split_whitespace().any(|word| word == mode);
        assert!(has("echo") && has("icanon"), "{screen}");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux().arg("kill-server").output().ok();
    }
}

fn appliance(origins: &[&Origin; 2]) -> Daemon {
    Daemon::start(&format!(
        "{WEB}{}{}[routes.orders]\nmatch = {{ path = \"/orders\" }}\nupstream = \"alpha\"\n\
         [routes.site]\nmatch = {{ path = \"/\" }}\nupstream = \"alpha\"\n",
        upstream("alpha", &[origins[0].address]),
        upstream("beta", &[origins[1].address])
    ))
}

/// Processor time of a process, in ticks of the kernel.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn a_route_is_edited_and_traffic_moves() {
    let (alpha, beta) = (Origin::named("from alpha"), Origin::named("from beta"));
    let daemon = appliance(&[&alpha, &beta]);
    let Some(terminal) = Terminal::start(&daemon) else { return };
    let body = |target: &str| get(daemon.web(), target).unwrap().body;
    assert_eq!(body("/orders"), "from alpha");
    terminal.shows("1 overview");
    terminal.press(&["3"]);
    terminal.shows("orders");
    terminal.press(&["e"]);
    terminal.shows("edit route orders");
    // The first section; in it hosts, what the path is, path, methods, upstream; `b` jumps to beta.
    terminal.press(&["Enter", "Down", "Down", "Down", "Down", "b"]);
    terminal.shows("◀ beta ▸");
    assert_eq!(body("/orders"), "from alpha", "nothing moves before it is applied");
    terminal.press(&["C-s"]);
    terminal.shows("-upstream = \"alpha\"");
    terminal.press(&["a"]);
    wait_until("traffic moves", || body("/orders") == "from beta");
    assert_eq!(body("/"), "from alpha", "only the route that was edited");
    let revision = &daemon.status()["revision"];
    assert!(revision["author"].as_str().unwrap().ends_with("(console)"), "{revision}");
    terminal.shows("revision 2 runs");

    let pid = terminal.console_pid();
    let before = ticks(pid);
    pause(IDLE);
    let used = ticks(pid) - before;
    assert!(used <= IDLE_TICKS_MAX, "an idle console used {used} ticks in {IDLE:?}");
    terminal.press(&["q"]);
    terminal.shows(&format!("{ENDED} 0"));
    terminal.is_restored();
}

#[test]
fn an_upstream_is_edited_by_sections_and_an_endpoint_drained() {
    let (alpha, beta) = (Origin::named("from alpha"), Origin::named("from beta"));
    let daemon = appliance(&[&alpha, &beta]);
    let Some(terminal) = Terminal::start(&daemon) else { return };
    terminal.shows("1 overview");
    terminal.press(&["4"]);
    terminal.shows("beta");
    terminal.press(&["e"]);
    terminal.shows("edit upstream alpha");
    terminal.shows("timeouts");
    terminal.press(&["Enter"]);
    terminal.shows("edit upstream alpha ▸ balance");
    terminal.press(&["w"]);
    terminal.shows("◀ weighted ▸");
    // The second section: the endpoint gets another weight.
    terminal.press(&["PageDown"]);
    terminal.shows("ADDRESS");
    terminal.press(&["Enter", "Down", "3"]);
    terminal.press(&["C-s"]);
    terminal.shows("+balance = \"weighted\"");
    terminal.press(&["a"]);
    terminal.shows("revision 2 runs");

    terminal.press(&["Enter"]);
    terminal.shows("Endpoints");
    // The reason stays empty; after it comes when what is left is cut.
    terminal.press(&["d", "Down", "5m", "C-s"]);
    terminal.shows("No other endpoint of alpha");
    terminal.shows("What is still in flight after 5m is cut.");
    terminal.press(&["a"]);
    terminal.shows("draining, by");
    terminal.shows("(in 4 m ");
    terminal.press(&["+"]);
    terminal.shows("(in 9 m ");
    wait_until("it drains", || get(daemon.web(), "/orders").is_ok_and(|reply| reply.status == 503));
    terminal.press(&["r", "C-s", "a"]);
    wait_until("it is ready", || get(daemon.web(), "/orders").is_ok_and(|reply| reply.status == 200));
    // A form that waits for the daemon takes no other key.
    terminal.shows("up for");
    terminal.press(&["q"]);
    terminal.is_restored();
}

#[test]
fn a_listener_is_made_and_connections_are_listed() {
    let (alpha, beta) = (Origin::named("from alpha"), Origin::named("from beta"));
    let daemon = appliance(&[&alpha, &beta]);
    let Some(terminal) = Terminal::start(&daemon) else { return };
    terminal.shows("1 overview");
    terminal.press(&["8"]);
    terminal.shows("Listeners");
    terminal.press(&["n"]);
    terminal.shows("new listener");
    terminal.press(&["s", "i", "d", "e", "Down"]);
    terminal.press(&["127.0.0.1:0"]);
    terminal.press(&["C-s"]);
    terminal.shows("+[listeners.side]");
    terminal.press(&["a"]);
    terminal.shows("revision 2 runs");
    terminal.press(&["c"]);
    terminal.shows("── connections ──");
    terminal.press(&["q"]);
    terminal.is_restored();
}

#[test]
fn the_console_outlives_the_daemon_and_a_signal_restores_the_terminal() {
    let (alpha, beta) = (Origin::named("from alpha"), Origin::named("from beta"));
    let mut daemon = appliance(&[&alpha, &beta]);
    let Some(terminal) = Terminal::start(&daemon) else { return };
    terminal.shows("1 overview");
    terminal.press(&["3"]);
    terminal.shows("orders");
    daemon.stop();
    daemon.restart();
    daemon.done(&["route", "set", "meanwhile", "--new", "match.path=/x", "upstream=beta"]);
    terminal.shows("meanwhile");
    output_of(Command::new("kill").arg("-TERM").arg(terminal.console_pid().to_string()));
    terminal.is_restored();
}
