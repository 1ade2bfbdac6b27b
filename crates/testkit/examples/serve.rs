//! Buildings on real sockets: `serve ADDRESS BUILDING [COUNT]`, until Ctrl-C; needs `CAP_NET_RAW`
//!
//! With a count, so many buildings: each at the address behind that of the one before.
//!
//!     cargo run -p pptp-testkit --example serve -- 127.0.0.11 1

use std::{error::Error, net::Ipv4Addr};

use pptp_testkit::Server;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (address, building, count) = match arguments.as_slice() {
        [address, building] => (address, building, 1),
        [address, building, count] => (address, building, count.parse()?),
        _ => return Err("usage: serve ADDRESS BUILDING [COUNT]".into()),
    };
    let (address, building): (Ipv4Addr, u32) = (address.parse()?, building.parse()?);
    let mut servers = Vec::new();
    for number in 0..count {
        let (address, building) =
            (Ipv4Addr::from_bits(address.to_bits() + number), building + number);
        servers.push(Server::builder(building).serve(address).await?);
        println!("building {building} at {address}, user testuser, password test123");
    }
    tokio::signal::ctrl_c().await?;
    for server in servers {
        server.shut_down().await;
    }
    Ok(())
}
