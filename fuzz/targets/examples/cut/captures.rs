//! Captures, and the packets in them

use std::{error::Error, fs, path::Path};

use pcap_parser::{
    Block, LegacyPcapReader, PcapBlockOwned, PcapError, pcapng::parse_block_le,
    traits::PcapReaderIterator,
};

/// Reads the packets of a capture of tcpdump's, without their Ethernet headers
pub(crate) fn read_pcap(path: &Path) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let mut reader = LegacyPcapReader::new(1 << 20, fs::File::open(path)?)?;
    let mut packets = Vec::new();
    loop {
        match reader.next() {
            Ok((offset, block)) => {
                if let PcapBlockOwned::Legacy(block) = block {
                    packets.extend(block.data.get(ETHERNET..).map(<[u8]>::to_vec));
                }
                reader.consume(offset);
            }
            Err(PcapError::Incomplete(_)) => reader.refill().map_err(|it| it.to_string())?,
            Err(PcapError::Eof) => return Ok(packets),
            Err(error) => return Err(error.to_string().into()),
        }
    }
}

/// A packet of a capture of ours, and true if it came in
pub(crate) type Packet = (bool, Vec<u8>);

/// Reads the packets of a capture of ours
pub(crate) fn read_pcapng(path: &Path) -> Result<Vec<Packet>, Box<dyn Error>> {
    let file = fs::read(path)?;
    let (mut rest, mut packets) = (file.as_slice(), Vec::new());
    while !rest.is_empty() {
        let (behind, block) = parse_block_le(rest).map_err(|it| it.to_string())?;
        rest = behind;
        if let Block::EnhancedPacket(packet) = block {
            let kept = usize::try_from(packet.caplen)?;
            let is_inbound = packets_direction(&packet.options);
            packets.push((is_inbound, packet.data[..kept].to_vec()));
        }
    }
    Ok(packets)
}

/// `epb_flags`: 1 in the lowest bits is inbound
fn packets_direction(options: &[pcap_parser::PcapNGOption<'_>]) -> bool {
    options.iter().any(|it| it.code.0 == 2 && it.value.first().is_some_and(|flags| flags & 3 == 1))
}

/// Octets of an Ethernet header
const ETHERNET: usize = 14;
