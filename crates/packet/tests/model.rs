//! Slots and their pool against a vector and a count

use pptp_packet::{HEADROOM, PacketBuf, SlotPool};
use proptest::{collection::vec, prelude::*};

proptest! {
    /// A slot is a vector to which octets are put in front, until the headroom is used up
    #[test]
    fn a_packet_is_what_was_written_with_each_header_in_front_of_it(
        packets in vec((vec(any::<u8>(), 0..3000), vec(vec(any::<u8>(), 0..12), 0..6)), 1..4),
    ) {
        let mut slot = PacketBuf::new();
        for (packet, headers) in packets {
            slot.reset(packet.len()).copy_from_slice(&packet);
            let (mut model, mut room) = (packet, HEADROOM);
            for header in headers {
                let fits = header.len() <= room;
                prop_assert_eq!(slot.prepend_slice(&header), fits);
                if fits {
                    room -= header.len();
                    model.splice(0..0, header);
                }
                prop_assert_eq!(slot.as_slice(), &model[..]);
                prop_assert_eq!((slot.len(), slot.is_empty()), (model.len(), model.is_empty()));
            }
        }
    }

    /// However slots are taken and given back: never more than the bound are out, and never fewer
    #[test]
    fn a_pool_hands_out_as_many_as_it_says(most in 0..6_usize, takes in vec(any::<bool>(), 0..40)) {
        let (mut pool, mut out) = (SlotPool::new(most), Vec::new());
        for takes in takes {
            prop_assert_eq!((pool.room(), pool.has_room()), (most - out.len(), out.len() < most));
            if takes {
                let has_room = pool.has_room();
                let taken = pool.take();
                prop_assert_eq!(taken.is_some(), has_room);
                out.extend(taken);
            } else if let Some(slot) = out.pop() {
                pool.put(slot);
            }
        }
    }
}
