//! A file in pcapng, read by a crate that has nothing to do with ours

use std::{net::Ipv4Addr, time::Duration};

use pcap_parser::{
    Block, PcapNGOption,
    pcapng::{EnhancedPacketBlock, OptionCode, parse_block_le},
    traits::PcapNGPacketBlock,
};

/// A section of a file, with one interface
#[derive(Debug, Default)]
pub struct File {
    /// Of the section
    pub comment: String,
    /// The name of the interface
    pub interface: String,
    /// The address of the interface
    pub address: Option<Ipv4Addr>,
    /// In the order of the file
    pub packets: Vec<Packet>,
    /// The last block
    pub statistics: Option<Statistics>,
}

/// A packet with its options
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Since 1970
    pub at: Duration,
    /// Away from the host that captured
    pub is_outbound: bool,
    /// What was kept of it
    pub octets: Vec<u8>,
    /// What there was of it, in octets
    pub length: usize,
    /// Empty if there is none
    pub comment: String,
}

/// What a capture counted
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistics {
    /// Packets that passed
    pub received: u64,
    /// Those of them that are not in the file
    pub dropped: u64,
    /// Why the capture ended
    pub comment: String,
}

impl File {
    /// Reads all of `octets`; panics if they are not one section as it should be
    pub fn read(mut octets: &[u8]) -> Self {
        let mut file = Self::default();
        let mut order = Vec::new();
        while !octets.is_empty() {
            let (rest, block) = parse_block_le(octets).expect("a block");
            octets = rest;
            order.push(file.take(block));
        }
        assert!(order.is_sorted(), "section, interface, packets, statistics: {order:?}");
        assert!(order.starts_with(&[0, 1]), "{order:?}");
        file
    }

    /// The place of the block in the order of a file
    fn take(&mut self, block: Block<'_>) -> u8 {
        match block {
            Block::SectionHeader(section) => {
                assert_eq!((section.major_version, section.minor_version), (1, 0));
                self.comment = comment(&section.options);
                0
            }
            Block::InterfaceDescription(interface) => {
                assert_eq!(interface.linktype.0, 101, "LINKTYPE_RAW");
                assert_eq!(interface.if_tsresol, 6, "microseconds");
                interface.if_name().unwrap().unwrap().clone_into(&mut self.interface);
                let addresses = interface.if_ipv4addr().map(Result::unwrap).unwrap_or_default();
                self.address = addresses.first().map(|(address, _)| *address);
                1
            }
            Block::EnhancedPacket(packet) => {
                self.packets.push(Packet::of(&packet));
                2
            }
            Block::InterfaceStatistics(counted) => {
                let received = counted.isb_ifrecv().unwrap().unwrap();
                let dropped = counted.isb_ifdrop().unwrap().unwrap();
                let comment = comment(&counted.options);
                assert!(self.statistics.is_none());
                self.statistics = Some(Statistics { received, dropped, comment });
                3
            }
            other => panic!("{other:?}"),
        }
    }

    /// Whether these octets are in any packet that went that way
    pub fn shows(&self, is_outbound: bool, wanted: &[u8]) -> bool {
        let mut packets = self.packets.iter().filter(|packet| packet.is_outbound == is_outbound);
        packets.any(|packet| packet.octets.windows(wanted.len()).any(|some| some == wanted))
    }
}

impl Packet {
    fn of(block: &EnhancedPacketBlock<'_>) -> Self {
        let micros = u64::from(block.ts_high) << 32 | u64::from(block.ts_low);
        let flags = block.options.iter().find(|option| option.code == OptionCode(2));
        let flags = flags.map(|option| option.as_u32_le().unwrap());
        assert!(matches!(flags, Some(1 | 2)), "a direction: {flags:?}");
        Self {
            at: Duration::from_micros(micros),
            is_outbound: flags == Some(2),
            octets: block.packet_data().to_vec(),
            length: block.orig_len() as usize,
            comment: comment(&block.options),
        }
    }
}

fn comment(options: &[PcapNGOption<'_>]) -> String {
    let comment = options.iter().find(|option| option.code == OptionCode::Comment);
    comment.map(|option| option.as_str().unwrap().to_owned()).unwrap_or_default()
}
