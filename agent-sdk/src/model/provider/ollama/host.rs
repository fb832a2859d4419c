//! `OLLAMA_HOST`, in all the forms that the server itself takes.

use std::net::IpAddr;

/// The port of a server whose address names neither a port nor a scheme.
const PORT: u16 = 11434;

/// The base URL of a server at this address. What is no address is left to be refused as a URL.
pub(in crate::model) fn base_url(host: &str) -> String {
    let host = host.trim().trim_matches(['"', '\'']).trim();
    let (scheme, rest) = host.split_once("://").unwrap_or(("", host));
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (name, port) = split_port(authority);
    let name = match name.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() => loopback(address).to_owned(),
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ if name.is_empty() => "127.0.0.1".to_owned(),
        _ => name.to_owned(),
    };
    let port = match (port, scheme) {
        (Some(port), _) => port.to_owned(),
        (None, "") => PORT.to_string(),
        (None, _) => String::new(),
    };
    let scheme = if scheme.is_empty() { "http" } else { scheme };
    let colon = if port.is_empty() { "" } else { ":" };
    format!("{scheme}://{name}{colon}{port}{path}")
}

/// Name and port. A bare IPv6 address has colons, and no port.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    if authority.parse::<IpAddr>().is_ok() {
        return (authority, None);
    }
    match authority.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => {
            (name, Some(port).filter(|port| !port.is_empty()))
        }
        _ => (authority, None),
    }
}

fn loopback(any: IpAddr) -> &'static str {
    if any.is_ipv4() { "127.0.0.1" } else { "[::1]" }
}

#[cfg(test)]
mod tests {
    use super::base_url;

    #[test]
    fn every_form_that_the_server_takes_is_an_address_to_ask() {
        for (host, url) in [
            ("localhost", "http://localhost:11434"),
            ("0.0.0.0", "http://127.0.0.1:11434"),
            ("0.0.0.0:1234", "http://127.0.0.1:1234"),
            (":1234", "http://127.0.0.1:1234"),
            ("box:", "http://box:11434"),
            ("[::]:1234", "http://[::1]:1234"),
            ("::", "http://[::1]:11434"),
            ("::1", "http://[::1]:11434"),
            ("[fe80::1]", "http://[fe80::1]:11434"),
            (" \"10.0.0.1:80\" ", "http://10.0.0.1:80"),
            ("box/prefix", "http://box:11434/prefix"),
            ("http://box", "http://box"),
            ("https://ollama.com", "https://ollama.com"),
            ("https://ollama.com/", "https://ollama.com/"),
            ("https://box:8443/a/b", "https://box:8443/a/b"),
            ("http://0.0.0.0:1234", "http://127.0.0.1:1234"),
        ] {
            assert_eq!(base_url(host), url, "{host}");
        }
    }
}
