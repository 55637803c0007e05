//! What the tests on the wire share: the program in a place of its own, a tap on its calls, and stories to tell on
//! more than one EC2.

#[path = "../lab/hand.rs"]
pub mod hand;
pub mod place;
pub mod story;
pub mod tap;
