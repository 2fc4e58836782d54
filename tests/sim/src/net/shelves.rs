//! What nodes keep of what they read: begun, made room on, and lost.

use headwater_core::bitfield::Bitfield;
use headwater_core::swarm::Input;

use super::{NodeId, Sim};

impl Sim {
    /// A node keeps what its readers come to from now on, and has what it wrote before.
    pub fn shelve(&mut self, id: NodeId) {
        let node = &self.nodes[id.0];
        let mut have = Bitfield::none(node.swarm.stats(self.now).pieces);
        for piece in node.kept.keys() {
            have.set(piece.get());
        }
        self.input(id, Input::Shelved { have });
        self.turn(id);
    }

    /// A node makes room: the piece it lets go, if there is one that readers are not near.
    pub fn let_go(&mut self, id: NodeId) -> Option<u32> {
        let piece = self.nodes[id.0].swarm.least_wanted_stored()?;
        self.nodes[id.0].kept.remove(&piece);
        self.input(id, Input::PieceLetGo(piece));
        self.turn(id);
        Some(piece.get())
    }

    /// A node's shelf is gone, with all that was on it.
    pub fn lose_shelf(&mut self, id: NodeId) {
        self.nodes[id.0].kept.clear();
        self.input(id, Input::ShelfLost);
        self.turn(id);
    }
}
