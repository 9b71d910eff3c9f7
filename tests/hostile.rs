//! A gateway among hostile peers, over real sockets, with an honest viewer attached that must stay exact and notice
//! nothing; and, at the end of `serving`, a viewer of a hostile gateway.

#[path = "hostile/http.rs"]
mod http;
#[path = "hostile/network.rs"]
mod network;
#[path = "hostile/quic.rs"]
mod quic;
#[path = "hostile/serving.rs"]
mod serving;
#[path = "hostile/stage.rs"]
mod stage;
#[path = "hostile/websocket.rs"]
mod websocket;
