use proptest::prelude::*;

use super::*;

/// What a header comes to, and what follows it unread.
fn read_all(octets: &[u8]) -> (Result<Proxied, ProxyError>, Vec<u8>) {
    let mut rest = octets;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let proxied = runtime.block_on(read_header(&mut rest));
    (proxied, rest.to_vec())
}

fn binary(version_and_command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[version_and_command, family], &length, payload].concat()
}

fn client(source: &str, destination: &str) -> Proxied {
    Proxied::Client { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

#[test]
fn version_2_tells_the_client_and_leaves_what_follows() {
    let payload = [192, 0, 2, 7, 192, 0, 2, 1, 0x12, 0x67, 0, 25];
    let (proxied, rest) = read_all(&[&binary(0x21, 0x11, &payload)[..], b"EHLO x\r\n"].concat());
    assert_eq!(proxied.unwrap(), client("192.0.2.7:4711", "192.0.2.1:25"));
    assert_eq!(rest, b"EHLO x\r\n");

    let source = "2001:db8::7".parse::<Ipv6Addr>().unwrap().octets();
    let destination = "2001:db8::1".parse::<Ipv6Addr>().unwrap().octets();
    // With a TLV behind the addresses.
    let payload = [&source[..], &destination, &[0x12, 0x67, 0, 25], &[3, 0, 1, 9]].concat();
    let (proxied, rest) = read_all(&binary(0x21, 0x21, &payload));
    assert_eq!(proxied.unwrap(), client("[2001:db8::7]:4711", "[2001:db8::1]:25"));
    assert!(rest.is_empty());
}

#[test]
fn a_proxy_speaks_for_itself_with_local() {
    for header in [binary(0x20, 0x00, &[]), binary(0x20, 0x11, &[1; 12]), binary(0x21, 0x00, &[])] {
        assert_eq!(read_all(&header).0.unwrap(), Proxied::Local);
    }
}

#[test]
fn version_1_tells_the_client_too() {
    let (proxied, rest) = read_all(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\nEHLO");
    assert_eq!(proxied.unwrap(), client("192.0.2.7:4711", "192.0.2.1:25"));
    assert_eq!(rest, b"EHLO");
    let (proxied, _) = read_all(b"PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 4711 25\r\n");
    assert_eq!(proxied.unwrap(), client("192.0.2.7:4711", "[2001:db8::1]:25"));
    assert_eq!(read_all(b"PROXY UNKNOWN ffff::1 x\r\n").0.unwrap(), Proxied::Local);
}

#[test]
fn what_is_no_header_is_refused() {
    let mut too_long = binary(0x21, 0x11, &[]);
    too_long[14] = 0xff;
    too_long.resize(70_000, 0);
    for octets in [
        &b"EHLO client.test\r\n"[..],
        b"PROXY TCP4 192.0.2.7 192.0.2.1 4711\r\n",
        b"PROXY TCP4 2001:db8::7 192.0.2.1 4711 25\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 99999\r\n",
        b"PROXY UDP4 192.0.2.7 192.0.2.1 4711 25\r\n",
        b"PROXY TCP4  192.0.2.7 192.0.2.1 4711 25\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\n",
        &[&b"PROXY TCP4 "[..], &[b'1'; 200]].concat(),
        b"PROXY",
        b"",
        &binary(0x31, 0x11, &[1; 12]),
        &binary(0x22, 0x11, &[1; 12]),
        &binary(0x21, 0x11, &[1; 11]),
        &binary(0x21, 0x21, &[1; 35]),
        &binary(0x21, 0x31, &[1; 216]),
        &binary(0x21, 0x11, &[1; 12])[..20],
        &too_long,
    ] {
        assert!(read_all(octets).0.is_err(), "{}", octets.escape_ascii());
    }
}

proptest! {
    #[test]
    fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..300), signed in any::<bool>()) {
        let start: &[u8] = if signed { &SIGNATURE } else { b"PROXY " };
        let _ = read_all(&[start, &octets].concat());
    }
}
