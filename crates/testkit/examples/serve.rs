//! A building on real sockets: `serve ADDRESS BUILDING`, until Ctrl-C; needs `CAP_NET_RAW`
//!
//!     cargo run -p pptp-testkit --example serve -- 127.0.0.11 1

use std::{error::Error, net::Ipv4Addr};

use pptp_testkit::Server;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [address, building] = arguments.as_slice() else {
        return Err("usage: serve ADDRESS BUILDING".into());
    };
    let address: Ipv4Addr = address.parse()?;
    let server = Server::builder(building.parse()?).serve(address).await?;
    println!("building {building} at {address}, user testuser, password test123");
    tokio::signal::ctrl_c().await?;
    server.shut_down().await;
    Ok(())
}
