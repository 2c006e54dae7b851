//! A node's commits, in the order in which `crate::committer` makes them: one after the other, whichever tenure they are of.
//!
//! A group of commits is one commit here: a group is made or not made as a whole or each for itself, which the store decides.
//! Invariant: of one node at most one commit is under way, so that an owner hears the numbers of its commits in their order.

use super::packet::Packet;
use super::world::{World, Write};

impl World {
    /// A commit is to be made: now, or after those before it.
    pub(super) fn write(&mut self, node: u8, write: Write) {
        self.nodes[usize::from(node)].writes.push_back(write);
        self.send_write(node);
    }

    /// The commit under way is over: which it was. The next one is sent.
    pub(super) fn next_write(&mut self, node: u8) -> Option<Write> {
        let over = self.nodes[usize::from(node)].committing.take();
        self.send_write(node);
        over
    }

    fn send_write(&mut self, node: u8) {
        let it = &mut self.nodes[usize::from(node)];
        if it.committing.is_some() {
            return;
        }
        it.committing = it.writes.pop_front();
        if let Some(Write { nonce, saga, commit, grant }) = it.committing {
            self.send(Packet::Commit { node, nonce, saga, commit, grant });
        }
    }
}
