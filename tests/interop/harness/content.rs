//! The octets that buildings serve and take, and their digest

/// The 16 MiB that a building serves at `http://192.168.1.3/16M`, other octets in each building.
pub fn download(building: u32) -> Vec<u8> {
    patterned(&format!("building {building}"))
}

/// 16 MiB to send to a building, other octets for each building and other than it serves.
pub fn upload(building: u32) -> Vec<u8> {
    patterned(&format!("upload to building {building}"))
}

/// 256 blocks of 64 KiB, no two alike: a line that names the block, padded and repeated.
fn patterned(name: &str) -> Vec<u8> {
    let block = |index: u32| {
        let mut line = format!("{name} block {index}\n").into_bytes();
        line.resize(64, b'.');
        line.repeat(1024)
    };
    // joined by the block: octet by octet takes a second of a thread of the driver's in a build for tests
    (0..256).map(block).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_is_sixteen_mebibytes_and_differs_between_buildings() {
        let (first, second) = (download(1), download(2));
        assert_eq!(first.len(), 16 << 20);
        assert!(first.starts_with(b"building 1 block 0\n..."));
        assert!(
            first.chunks(1 << 16).zip(second.chunks(1 << 16)).all(|(ours, theirs)| ours != theirs)
        );
    }
}
