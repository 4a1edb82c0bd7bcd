//! From where a request comes.

use std::net::IpAddr;

use poem::Request;

/// Who asks: each of the `proxies` before it adds whom it heard from, and what is before that anybody may have written.
pub(crate) fn of(request: &Request, proxies: usize) -> Option<IpAddr> {
    let lines = request.headers().get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok());
    let named: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    let told = named.len().checked_sub(proxies).and_then(|at| named.get(at)?.parse().ok());
    told.or_else(|| request.remote_addr().as_socket_addr().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_our_own_proxies_say_is_believed() {
        let told = |lines: &[&str], proxies| {
            let request = lines.iter().fold(Request::builder(), |request, line| request.header("x-forwarded-for", *line));
            of(&request.finish(), proxies).map(|ip| ip.to_string())
        };
        assert_eq!(told(&["192.0.2.1, 203.0.113.9"], 1).as_deref(), Some("203.0.113.9"));
        assert_eq!(told(&["192.0.2.1", "203.0.113.9, 10.0.0.1"], 2).as_deref(), Some("203.0.113.9"));
        assert_eq!(told(&["203.0.113.9"], 0), None);
        assert_eq!(told(&["203.0.113.9"], 2), None);
        assert_eq!(told(&["nobody"], 1), None);
        assert_eq!(told(&[], 1), None);
    }
}
