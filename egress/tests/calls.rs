//! What is called and what is not, with listeners that count.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use egress::{
    Client, Options, Refused,
    dns::{Addrs, Name, Resolve, Resolving},
};
use reqwest::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// A server at a loopback address that counts who connects, and answers everybody the same.
async fn listener(host: &str, answer: String) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((host, 0)).await.unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let counted = count.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Relaxed);
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut head = [0; 4096];
                _ = stream.read(&mut head).await;
                _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    (port, count)
}

fn fine() -> String {
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok".into()
}

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

/// Names that mean one address after the other.
struct Script(Mutex<Vec<IpAddr>>);

impl Resolve for Script {
    fn resolve(&self, _: Name) -> Resolving {
        let mut left = self.0.lock().unwrap();
        let next = if left.len() > 1 { left.remove(0) } else { left[0] };
        Box::pin(async move { Ok(Box::new([SocketAddr::new(next, 0)].into_iter()) as Addrs) })
    }
}

fn client(options: Options) -> Client {
    _ = rustls::crypto::ring::default_provider().install_default();
    Client::new(options).unwrap()
}

/// The outcome of a call: the status, or why it was refused.
async fn call(client: &Client, url: &str) -> Result<u16, Option<Refused>> {
    let request = client.request(Method::POST, url).map_err(Some)?;
    request.body("{}").send().await.map(|response| response.status().as_u16()).map_err(|error| Refused::of(&error))
}

#[tokio::test]
async fn no_spelling_of_an_address_gets_behind_the_wall() {
    let (port, count) = listener("127.0.0.1", fine()).await;
    let client = client(Options::default());
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "0177.0.0.0x1",
        "127.0.0.1.",
        "0",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "①②⑦.⓪.⓪.①",
        "%31%32%37.0.0.1",
    ] {
        let outcome = call(&client, &format!("http://{host}:{port}/")).await;
        assert!(outcome.is_err(), "{host}: {outcome:?}");
    }
    assert_eq!(call(&client, &format!("http://localhost:{port}/")).await, Err(Some(Refused::NotPublic)));
    for (url, why) in [
        ("ftp://example.com/", Refused::Scheme),
        ("file:///etc/passwd", Refused::Scheme),
        ("nonsense", Refused::Scheme),
        ("http://ana:secret@example.com/", Refused::Credentials),
        ("http://169.254.169.254/latest/meta-data/", Refused::NotPublic),
    ] {
        assert_eq!(call(&client, url).await, Err(Some(why)), "{url}");
    }
    assert_eq!(count.load(Relaxed), 0, "nobody connected");
}

#[tokio::test]
async fn a_redirect_leads_no_further_than_an_address_that_was_entered() {
    let (inside, count) = listener("127.0.0.1", fine()).await;
    let allowed = vec!["127.0.0.2/32".parse().unwrap()]; // stands for the world
    let following = client(Options { allowed: allowed.clone(), redirects: 3, ..Options::default() });
    for target in [format!("http://127.0.0.1:{inside}/"), format!("http://localhost:{inside}/"), format!("http://2130706433:{inside}/")] {
        let (port, seen) = listener("127.0.0.2", redirect(&target)).await;
        assert_eq!(call(&following, &format!("http://127.0.0.2:{port}/")).await, Err(Some(Refused::NotPublic)), "{target}");
        assert_eq!(seen.load(Relaxed), 1);
    }
    let (port, _) = listener("127.0.0.2", fine()).await;
    let (first, _) = listener("127.0.0.2", redirect(&format!("http://127.0.0.2:{port}/"))).await;
    assert_eq!(call(&following, &format!("http://127.0.0.2:{first}/")).await, Ok(200));
    let (circle, times) = listener("127.0.0.2", redirect("/")).await;
    assert_eq!(call(&following, &format!("http://127.0.0.2:{circle}/")).await, Err(Some(Refused::TooManyRedirects)));
    assert_eq!(times.load(Relaxed), 4);
    let staying = client(Options { allowed, ..Options::default() });
    assert_eq!(call(&staying, &format!("http://127.0.0.2:{first}/")).await, Ok(307), "it is the answer");
    assert_eq!(count.load(Relaxed), 0, "nobody got in");
}

#[tokio::test]
async fn a_name_that_means_something_else_the_next_moment_gains_nothing() {
    let (port, inside) = listener("127.0.0.1", fine()).await;
    let world = TcpListener::bind(("127.0.0.2", port)).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = world.accept().await.unwrap();
            let mut head = [0; 4096];
            _ = stream.read(&mut head).await;
            _ = stream.write_all(fine().as_bytes()).await;
        }
    });
    let [good, bad] = [2, 1].map(|last| IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)));
    let resolver = Arc::new(Script(Mutex::new(vec![good, bad])));
    let client = client(Options { allowed: vec!["127.0.0.2/32".parse().unwrap()], resolver, ..Options::default() });
    let url = format!("http://rebind.example:{port}/");
    assert_eq!(call(&client, &url).await, Ok(200));
    for _ in 0..5 {
        assert_eq!(call(&client, &url).await, Err(Some(Refused::NotPublic)));
    }
    assert_eq!(inside.load(Relaxed), 0, "nobody got in");
}
