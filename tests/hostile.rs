//! A gateway among hostile peers, over real sockets. Every test has an honest viewer attached all the while, which
//! must stay exact and notice nothing.

#[path = "hostile/http.rs"]
mod http;
#[path = "hostile/quic.rs"]
mod quic;
#[path = "hostile/serving.rs"]
mod serving;
#[path = "hostile/stage.rs"]
mod stage;
#[path = "hostile/websocket.rs"]
mod websocket;
