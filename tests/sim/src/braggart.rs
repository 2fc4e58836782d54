//! A seeder that gives all it can, and says of itself what it likes.

use headwater_core::bitfield::Bitfield;
use headwater_core::layout::Block;
use headwater_core::wire::extended::{ExtendedHandshake, HANDSHAKE_ID, HW_STATE, State};
use headwater_core::wire::{Features, Frame, Message};

use crate::{Evil, Film, Line};

/// Such a seeder. What its link is, is what it can.
#[derive(Debug)]
pub struct Braggart {
    film: Film,
    says: State,
}

impl Braggart {
    /// One that has the film, and says to whoever understands it how it is.
    pub fn new(film: &Film, says: State) -> Self {
        Self {
            film: film.clone(),
            says,
        }
    }

    fn give(&self, line: &mut Line, piece: u32, begin: u32, length: u32) {
        let Some(piece) = self.film.metainfo.layout().piece(piece) else {
            return;
        };
        let block = Block {
            piece,
            begin,
            length,
        };
        line.say(&Message::Piece {
            piece: piece.get(),
            begin,
            data: &self.film.block(block),
        });
    }
}

impl Evil for Braggart {
    fn opened(&mut self, line: &mut Line) {
        line.greet(&self.film, Features::ALL, 77);
        let ours = ExtendedHandshake::default().to_payload();
        line.say(&Message::Extended {
            id: HANDSHAKE_ID,
            payload: &ours,
        });
        let all = Bitfield::all(self.film.metainfo.layout().piece_count());
        line.say(&Message::Bitfield(all.as_bytes()));
        line.say(&Message::Unchoke);
    }

    fn heard(&mut self, line: &mut Line, frame: &Frame<'_>) {
        match *frame {
            Frame::Message(Message::Extended {
                id: HANDSHAKE_ID,
                payload,
            }) => {
                let theirs = ExtendedHandshake::parse(payload).unwrap_or_default();
                if let Some(id) = theirs.id_of(HW_STATE) {
                    let payload = &self.says.to_payload();
                    line.say(&Message::Extended { id, payload });
                }
            }
            Frame::Message(Message::HashRequest(span)) => line.say(&Message::HashReject(span)),
            Frame::Message(Message::Request {
                piece,
                begin,
                length,
            }) => self.give(line, piece, begin, length),
            _ => {}
        }
    }
}
