//! PRETENDS: the sim's world behind AWS's own protocols, so that any client of EC2 can talk to it over HTTP.
//!
//! It reads requests into `ec2`'s plain values and writes answers as EC2, Service Quotas, SSM and STS write them. What a call does is
//! the sim's matter. It refuses parameters that it would have to ignore, and listens on the loopback interface alone.

mod answer;
mod ec2;
mod form;
mod limits;
mod quotas;
mod roles;
mod server;
mod sign;
mod ssm;
mod sts;
mod xml;

pub use server::{Front, listen};
