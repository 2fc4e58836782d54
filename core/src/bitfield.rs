//! One bit a piece.
