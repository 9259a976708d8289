use super::*;

fn inflated(compressed: &[&[u8]], room: usize) -> Vec<u8> {
    let mut compression = Compression::new(Arc::default());
    let mut octets = BytesMut::new();
    for piece in compressed {
        compression.received.extend_from_slice(piece);
        while compression.inflate(&mut octets, room).unwrap() > 0 {}
    }
    octets.to_vec()
}

#[test]
fn batches_are_one_stream_and_each_is_complete() {
    let compression = Compression::new(Arc::default());
    let batches =
        [b"* 1 EXISTS\r\n".to_vec(), vec![b'x'; 300_000], b"a OK done\r\n".repeat(9_999), vec![b'y']];
    let compressed: Vec<Bytes> = batches.iter().map(|batch| compression.deflate(batch).unwrap()).collect();
    for upto in 1..=batches.len() {
        let pieces: Vec<&[u8]> = compressed[..upto].iter().map(|piece| &piece[..]).collect();
        assert!(inflated(&pieces, 4_096) == batches[..upto].concat(), "{upto}");
    }
}

#[test]
fn a_bomb_is_inflated_as_far_as_there_is_room() {
    let bomb = Compression::new(Arc::default()).deflate(&vec![b'A'; 10 << 20]).unwrap();
    assert!(bomb.len() < 100_000);
    let mut compression = Compression::new(Arc::default());
    compression.received.extend_from_slice(&bomb);
    let mut octets = BytesMut::new();
    assert_eq!(compression.inflate(&mut octets, 1_000).unwrap(), 1_000);
    assert!(octets.len() == 1_000 && !compression.received.is_empty());
}

#[test]
fn noise_is_an_error() {
    let mut compression = Compression::new(Arc::default());
    compression.received.extend_from_slice(&[0xff; 64]);
    assert!(compression.inflate(&mut BytesMut::new(), 100).is_err());
}
