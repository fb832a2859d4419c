//! Which addresses are asked, however they are written and wherever they come from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::tool::builtin::http::is_public;

/// What a URL can call an address that is nobody else's business.
const REFUSED: &[&str] = &[
    // This machine.
    "http://127.0.0.1/",
    "http://127.0.0.1./",
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7F.0x0.0x0.0x1/",
    "http://0x7f.1/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://0177.1/",
    "http://127.255.255.254/",
    "http://%31%32%37.0.0.1/",
    "http://127%2e0%2e0%2e1/",
    "http://127。0。0。1/",
    "http://127.0.0.1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[0000:0000:0000:0000:0000:0000:0000:0001]/",
    "http://[::]/",
    "http://0.0.0.0/",
    "http://0/",
    "http://0x0/",
    "http://0.1.2.3/",
    // IPv4 inside of IPv6.
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::FFFF:7F00:0001]/",
    "http://[0:0:0:0:0:ffff:10.0.0.1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[::ffff:0:127.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[::10.0.0.1]/",
    "http://[::8.8.8.8]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b::169.254.169.254]/",
    "http://[64:ff9b::a00:1]/",
    "http://[64:ff9b:1::a00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[2002:c0a8:101::]/",
    "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "http://[2606:4700::5efe:10.0.0.1]/",
    "http://[2606:4700::200:5efe:192.168.0.1]/",
    // Private networks.
    "http://10.0.0.1/",
    "http://10.255.255.255/",
    "http://167772161/",
    "http://0xa.1/",
    "http://012.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.0.1/",
    "http://0xc0a80001/",
    "http://100.64.0.1/",
    "http://100.127.255.255/",
    "http://[fc00::1]/",
    "http://[fd12:3456:789a::1]/",
    "http://[fec0::1]/",
    // Metadata and the local link.
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0xA9.0xFE.0xA9.0xFE/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://169.254.170.2/",
    "http://169.254.0.1/",
    "http://100.100.100.200/",
    "http://192.0.0.192/",
    "http://168.63.129.16/",
    "http://[fd00:ec2::254]/",
    "http://[fd20:ce::254]/",
    "http://[fe80::1]/",
    "http://[febf::1]/",
    // Nobody, everybody, and what is reserved.
    "http://192.0.0.8/",
    "http://192.0.2.1/",
    "http://192.88.99.1/",
    "http://198.18.0.1/",
    "http://198.19.255.255/",
    "http://198.51.100.7/",
    "http://203.0.113.9/",
    "http://224.0.0.1/",
    "http://239.255.255.250/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://4294967295/",
    "http://[ff02::1]/",
    "http://[ff0e::1]/",
    "http://[100::1]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://[5f00::1]/",
    "http://[4000::1]/",
];

const PUBLIC: &[&str] = &[
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:830::200e",
    "2001:4860:4860::8888",
    "64:ff9b::8.8.8.8",
    "::ffff:8.8.8.8",
    "2002:808:808::1",
];

/// Everything may be asked that is public.
fn anywhere() -> HttpRequestBuilder {
    HttpRequest::builder().allow_host(AllowedHost::new("*").over_http())
}

#[test]
fn t7_an_address_that_is_not_public_is_refused_however_it_is_written() {
    let tool = anywhere().build().unwrap();
    assert!(REFUSED.len() >= 60);
    for url in REFUSED {
        let error = tool.check(url).expect_err(url);
        assert!(
            error.message().contains("may not be asked"),
            "{url}: {error}"
        );
    }
    for address in PUBLIC {
        let address: IpAddr = address.parse().unwrap();
        assert!(is_public(address), "{address}");
        let url = match address {
            IpAddr::V4(address) => format!("http://{address}/"),
            IpAddr::V6(address) => format!("http://[{address}]/"),
        };
        tool.check(&url).expect(&url);
    }
}

#[test]
fn t7_what_is_no_plain_https_url_is_refused() {
    let tool = HttpRequest::builder()
        .allow_host("example.com")
        .allow_host("*.example.org")
        .allow_host("api.example.net:8443")
        .build()
        .unwrap();
    for url in [
        "https://example.com",
        " https://EXAMPLE.com./a?b#c ",
        "https://example.com:443/",
        "https://a.example.org/",
        "https://a.b.example.org/",
        "https://api.example.net:8443/v1",
    ] {
        tool.check(url).expect(url);
    }
    for url in [
        "",
        "example.com",
        "//example.com/",
        "/etc/passwd",
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com:70/_x",
        "dict://example.com:11211/stat",
        "data:text/plain,x",
        "javascript:alert(1)",
        "unix:/var/run/docker.sock",
        "https://",
        "https:///",
        "https://example.com:8443/",
        "https://example.com:22/",
        "https://api.example.net/",
        "https://example.org/",
        "https://evil-example.org/",
        "https://example.org.evil.net/",
        "https://evil.net/?https://example.com/",
        "https://evil.net#example.com",
        "https://example.com@evil.net/",
        "https://example.com:443@evil.net/",
        "https://user:word@example.com/",
        "https://user@example.com/",
        "https://evil.net\\@example.com/",
        "https://evil.net\t.example.com.net/",
        "https://exаmple.com/",
        "https://example.com\0.evil.net/",
        "https://xn--exmple-cua.com/",
        "https://[::1%25lo]/",
        "https://1.2.3.4.5/",
        "https://256.256.256.256/",
    ] {
        tool.check(url).expect_err(url);
    }
    let long = format!("https://example.com/{}", "a".repeat(10_000));
    assert!(tool.check(&long).unwrap_err().message().len() < 200);
}

#[tokio::test]
async fn t7_a_name_that_leads_to_an_address_that_is_not_public_is_refused() {
    let literal = |url: &&str| {
        let url = reqwest::Url::parse(url).unwrap();
        crate::tool::builtin::http::literal(&url).unwrap()
    };
    let addresses: Vec<IpAddr> = REFUSED.iter().map(literal).collect();
    let says = Says {
        answers: Arc::new(addresses.iter().map(|address| vec![*address]).collect()),
        asked: Arc::default(),
    };
    let tool = anywhere().resolver(says.clone()).build().unwrap();
    for (nth, address) in addresses.iter().enumerate() {
        let error = get(&tool, "http://name.test/").await.unwrap_err();
        let message = error.message();
        assert!(message.contains("leads to"), "{address}: {message}");
        assert!(message.contains("may not be asked"), "{address}: {message}");
        assert_eq!(says.asked(), nth + 1, "{address}");
    }
}

#[tokio::test]
async fn t7_one_address_that_is_not_public_is_enough_to_refuse_a_name() {
    let server = Server::of(ok("text/plain", "secret")).await;
    for answer in [["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"]] {
        let tool = here()
            .resolver(Says::new(&[&answer]))
            .allow_host(server.host("name.test"))
            .build()
            .unwrap();
        let error = get(&tool, &server.url("name.test", "/")).await.unwrap_err();
        assert!(error.message().contains("a private network"), "{error}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn t7_a_name_is_resolved_once_and_asked_where_that_was_checked() {
    let server = Server::of(ok("text/plain", "hello")).await;
    // As by whoever owns a name and wants the second look to see something else.
    let says = Says::new(&[&["127.0.0.1"], &["169.254.169.254"], &["127.0.0.1"]]);
    let tool = here()
        .resolver(says.clone())
        .allow_host(server.host("name.test"))
        .build()
        .unwrap();
    let url = server.url("name.test", "/");
    assert!(get(&tool, &url).await.unwrap().ends_with("\n\nhello"));
    assert_eq!(says.asked(), 1);
    let error = get(&tool, &url).await.unwrap_err();
    assert!(error.message().contains("metadata"), "{error}");
    assert_eq!((says.asked(), server.seen().len()), (2, 1));
    assert!(get(&tool, &url).await.unwrap().ends_with("\n\nhello"));
    assert_eq!((says.asked(), server.seen().len()), (3, 2));
}

#[tokio::test]
async fn t7_a_private_address_is_that_of_the_host_alone_that_may_have_one() {
    let server = Server::of(ok("text/plain", "hello")).await;
    let tool = HttpRequest::builder()
        .resolver(Says::new(&[&["127.0.0.1"]]))
        .allow_host(server.host("intranet.test").at_private_addresses())
        .allow_host(server.host("other.test"))
        .build()
        .unwrap();
    get(&tool, &server.url("intranet.test", "/")).await.unwrap();
    let error = get(&tool, &server.url("other.test", "/"))
        .await
        .unwrap_err();
    assert!(error.message().contains("this machine itself"), "{error}");
    assert_eq!(server.seen().len(), 1);

    let metadata = HttpRequest::builder()
        .resolver(Says::new(&[&["169.254.169.254"]]))
        .allow_host(server.host("intranet.test").at_private_addresses())
        .build()
        .unwrap();
    let error = get(&metadata, &server.url("intranet.test", "/")).await;
    assert!(error.unwrap_err().message().contains("metadata"));
}

#[tokio::test]
async fn a_name_without_an_address_is_said_to_have_none() {
    let tool = anywhere().resolver(Says::new(&[&[]])).build().unwrap();
    let error = get(&tool, "https://nowhere.test/").await.unwrap_err();
    assert_eq!(
        error.message(),
        "the host `nowhere.test` has no address: check its name"
    );
}

/// A URL's host that is this address, in one of its spellings.
fn spelled(address: Ipv4Addr, how: u8) -> String {
    let bits = address.to_bits();
    let [a, b, c, d] = address.octets();
    let (high, low) = (bits >> 16, bits & 0xffff);
    match how % 10 {
        0 => address.to_string(),
        1 => bits.to_string(),
        2 => format!("0x{bits:x}"),
        3 => format!("0{bits:o}"),
        4 => format!("0x{a:x}.0{b:o}.{c}.{d}"),
        5 => format!("{a}.{}", bits & 0x00ff_ffff),
        6 => format!("[::ffff:{address}]"),
        7 => format!("[::ffff:{high:x}:{low:x}]"),
        8 => format!("[64:ff9b::{high:x}:{low:x}]"),
        _ => format!("[2002:{high:x}:{low:x}::1]"),
    }
}

proptest! {
    #[test]
    fn t7_an_address_is_judged_alike_in_every_spelling(bits in any::<u32>(), own in 0_usize..6, how in any::<u8>()) {
        // Half of what is tried is in ranges that are refused.
        let bits = match own {
            0 => (bits & 0x00ff_ffff) | 0x0a00_0000,
            1 => (bits & 0x00ff_ffff) | 0x7f00_0000,
            2 => (bits & 0x0000_ffff) | 0xa9fe_0000,
            _ => bits,
        };
        let address = Ipv4Addr::from_bits(bits);
        let url = format!("http://{}/", spelled(address, how));
        let tool = TOOL.with(HttpRequest::clone);
        prop_assert_eq!(tool.check(&url).is_ok(), is_public(address.into()), "{}", url);
    }

    #[test]
    fn t7_no_address_of_ipv6_is_public_outside_of_its_two_ranges(bits in any::<u128>()) {
        let address = Ipv6Addr::from_bits(bits);
        let first = address.segments()[0];
        if is_public(address.into()) {
            prop_assert!(first & 0xe000 == 0x2000 || first == 0x64);
        }
    }

    #[test]
    fn t7_no_text_stops_the_guard_or_leads_it_astray(text in any::<String>(), host in "[a-z0-9.@:/\\\\%\\[\\]#?-]{0,30}") {
        let tool = NARROW.with(HttpRequest::clone);
        for url in [text.clone(), format!("https://{host}"), format!("https://{host}{text}"), format!("https://example.com{host}")] {
            if tool.check(&url).is_ok() {
                let url = reqwest::Url::parse(url.trim()).unwrap();
                let name = url.host_str().unwrap().trim_end_matches('.');
                prop_assert_eq!(name, "example.com");
                prop_assert_eq!((url.scheme(), url.port(), url.username()), ("https", None, ""));
            }
        }
    }
}

thread_local! {
    // Making one reads the system's certificates.
    static TOOL: HttpRequest = anywhere().build().unwrap();
    static NARROW: HttpRequest = HttpRequest::builder().allow_host("example.com").build().unwrap();
}
