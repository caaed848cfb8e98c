// SPDX-License-Identifier: MIT OR Apache-2.0
//! Segment trees of all hosts in one arena: a look-up costs one step per segment, whatever the number of routes.
//!
//! A node is a path; its lists name the routes that end there, best first. Prefix `/a` ends at node `a`, exact `/a/` at
//! the node of the empty segment below it. Nothing here judges conditions: [`Tree::visit`] offers routes in order of
//! precedence until the visitor takes one.

use std::collections::HashMap;
use std::ops::ControlFlow;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::path::segments;

/// Up to this many children are compared one by one; more are hashed.
const FEW_CHILDREN_MAX: usize = 8;

/// A segment or a host; inline if it is as short as most are, which saves a cache miss for each step.
pub(super) type Key = SmallVec<[u8; 24]>;

pub(super) type Index<V> = HashMap<Key, V, RandomState>;

/// A place in the arena of nodes.
pub(super) type NodeId = u32;
/// A place in the list of routes, best first.
pub(super) type RouteId = u32;

/// Which list of a node a route stands in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Exact,
    Prefix,
    Template,
}

#[derive(Debug)]
enum Children {
    /// Most nodes have one child, which then costs no cache miss.
    Few(SmallVec<[(Key, NodeId); 1]>),
    Many(Box<Index<NodeId>>),
}

impl Children {
    fn find(&self, segment: &[u8]) -> Option<NodeId> {
        match self {
            Self::Few(list) => list.iter().find(|(own, _)| **own == *segment).map(|(_, node)| *node),
            Self::Many(index) => index.get(segment).copied(),
        }
    }

    fn add(&mut self, segment: &[u8], node: NodeId) {
        match self {
            Self::Few(list) if list.len() < FEW_CHILDREN_MAX => list.push((Key::from_slice(segment), node)),
            Self::Few(list) => {
                let mut index: Index<NodeId> = list.drain(..).collect();
                index.insert(Key::from_slice(segment), node);
                *self = Self::Many(Box::new(index));
            }
            Self::Many(index) => {
                index.insert(Key::from_slice(segment), node);
            }
        }
    }
}

#[derive(Debug)]
struct Node {
    parent: Option<NodeId>,
    children: Children,
    /// Where any segment that is not empty leads.
    parameter: Option<NodeId>,
    /// The heads of the lists in `Tree::links`, by [`Kind`].
    lists: [Option<u32>; 3],
}

/// A route whose host and path match.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    pub(super) id: RouteId,
    /// It has no other condition and captures nothing, so that nobody needs to look at it.
    pub(super) is_bare: bool,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    offer: Offer,
    next: Option<u32>,
}

/// All nodes of a table.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    links: Vec<Link>,
}

impl Tree {
    /// A new root, for the paths of one host.
    pub(super) fn plant(&mut self) -> NodeId {
        self.grow(None)
    }

    fn grow(&mut self, parent: Option<NodeId>) -> NodeId {
        let id = NodeId::try_from(self.nodes.len()).expect("a table holds far fewer than 2^32 segments");
        self.nodes.push(Node { parent, children: Children::Few(SmallVec::new()), parameter: None, lists: [None; 3] });
        id
    }

    fn node(&self, id: NodeId) -> &Node {
        self.nodes.get(id as usize).expect("ids are places in this arena, which never shrinks")
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(id as usize).expect("ids are places in this arena, which never shrinks")
    }

    /// Puts `offer` at the head of a list, so the worst route must be added first.
    pub(super) fn add<'s>(
        &mut self,
        root: NodeId,
        path: impl Iterator<Item = Option<&'s [u8]>>,
        kind: Kind,
        offer: Offer,
    ) {
        let mut at = root;
        for segment in path {
            at = match segment {
                Some(literal) => self.literal_below(at, literal),
                None => self.parameter_below(at),
            };
        }
        let head = u32::try_from(self.links.len()).expect("a table holds far fewer than 2^32 routes");
        if let Some(list) = self.node_mut(at).lists.get_mut(kind as usize) {
            let next = list.replace(head);
            self.links.push(Link { offer, next });
        }
    }

    fn literal_below(&mut self, at: NodeId, segment: &[u8]) -> NodeId {
        if let Some(child) = self.node(at).children.find(segment) {
            return child;
        }
        let child = self.grow(Some(at));
        self.node_mut(at).children.add(segment, child);
        child
    }

    fn parameter_below(&mut self, at: NodeId) -> NodeId {
        if let Some(child) = self.node(at).parameter {
            return child;
        }
        let child = self.grow(Some(at));
        self.node_mut(at).parameter = Some(child);
        child
    }

    /// The node of the longest literal part of `path`, and whether that is all of it.
    pub(super) fn descend(&self, root: NodeId, path: &[u8]) -> (NodeId, bool) {
        let mut at = root;
        for segment in segments(path) {
            match self.node(at).children.find(segment) {
                Some(child) => at = child,
                None => return (at, false),
            }
        }
        (at, at != root)
    }

    /// Offers the routes of one list, best first.
    pub(super) fn list<B>(
        &self,
        node: NodeId,
        kind: Kind,
        visit: &mut impl FnMut(Offer) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let mut next = self.node(node).lists.get(kind as usize).copied().flatten();
        while let Some(link) = next.and_then(|at| self.links.get(at as usize)) {
            visit(link.offer)?;
            next = link.next;
        }
        ControlFlow::Continue(())
    }

    /// Offers the prefixes that end at `node` or above it, the longest first.
    pub(super) fn prefixes<B>(&self, node: NodeId, visit: &mut impl FnMut(Offer) -> ControlFlow<B>) -> ControlFlow<B> {
        let mut next = Some(node);
        while let Some(at) = next {
            self.list(at, Kind::Prefix, visit)?;
            next = self.node(at).parent;
        }
        ControlFlow::Continue(())
    }

    /// Offers the templates that take `path`: more literal segments first, then the one whose literal comes earlier.
    pub(super) fn templates<B>(
        &self,
        root: NodeId,
        path: &[u8],
        visit: &mut impl FnMut(Offer) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let Some(rest) = path.strip_prefix(b"/") else { return ControlFlow::Continue(()) };
        let mut ends = Ends::new();
        self.collect(root, Some(rest), 0, &mut ends);
        ends.sort_by_key(|(literals, _)| std::cmp::Reverse(*literals));
        ends.iter().try_for_each(|(_, node)| self.list(*node, Kind::Template, visit))
    }

    /// Goes down literals before parameters, so that equal counts come out in the right order already. The depth is
    /// bounded by that of the tree.
    fn collect(&self, at: NodeId, rest: Option<&[u8]>, literals: u16, ends: &mut Ends) {
        let node = self.node(at);
        let Some(rest) = rest else {
            if matches!(node.lists.get(Kind::Template as usize), Some(Some(_))) {
                ends.push((literals, at));
            }
            return;
        };
        let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        let (segment, tail) = (rest.get(..end).unwrap_or_default(), rest.get(end + 1..));
        if let Some(child) = node.children.find(segment) {
            self.collect(child, tail, literals + 1, ends);
        }
        if let (Some(child), false) = (node.parameter, segment.is_empty()) {
            self.collect(child, tail, literals, ends);
        }
    }
}

/// Literal segments and node of each template that takes a path; more than a few would be unusual.
type Ends = SmallVec<[(u16, NodeId); 8]>;
