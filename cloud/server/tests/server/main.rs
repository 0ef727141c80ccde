//! The server as browsers and an edge box meet it: real HTTP and WebSockets over loopback, a real link as edge box.

#[cfg(test)] // lets clippy know that helpers are tests too
mod cast;
mod claims;
mod signalling;
mod start;
