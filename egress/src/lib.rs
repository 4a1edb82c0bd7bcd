//! Calls to addresses that somebody else has entered: webhooks, pictures in mails, requests of workflows.
//!
//! Whoever enters an address must not get to see what only this computer can reach. So every address is looked at when it is
//! connected to: a name is resolved here, what isn't public is left out, and the connection goes to what was looked at, so
//! that a name that means something else the next moment ("rebinding") gains nothing. A host that is an address itself never
//! gets to a resolver: it is looked at before the request and before each redirect, in the one form that every spelling of it
//! (decimal, octal, hexadecimal, shortened) has by then. Proxies of the environment are not used: they would connect for us.
//!
//! [`Client::new`] is the only way to one, and it gives nothing out that could call anything else.

pub mod address;

use std::{
    error::Error,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
pub use reqwest::dns;
use reqwest::{
    Method, RequestBuilder, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use url::Host;

/// What a client is made with.
#[derive(Clone)]
pub struct Options {
    /// Networks that may be called though they are not public.
    pub allowed: Vec<IpNet>,
    /// How many redirects are followed. None by default: a request with a body and a signature is for the one address that
    /// was entered.
    pub redirects: usize,
    /// How long a request may take, its answer included.
    pub timeout: Duration,
    /// Who says what names mean; its answers are looked at all the same.
    pub resolver: Arc<dyn Resolve>,
}

impl Default for Options {
    fn default() -> Self {
        Self { allowed: Vec::new(), redirects: 0, timeout: Duration::from_secs(15), resolver: Arc::new(System) }
    }
}

/// Calls what others have entered. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    allowed: Arc<[IpNet]>,
}

/// Why an address is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no address of the web.
    #[error("it must be an address that begins with http:// or https:// and has a host")]
    Scheme,
    /// It has a user or a password in it.
    #[error("it must be without a user and a password")]
    Credentials,
    /// It leads to where not everybody gets.
    #[error("it leads to an address that is not public")]
    NotPublic,
    /// It leads on too often.
    #[error("it redirects too often")]
    TooManyRedirects,
}

impl Refused {
    /// Whether a request failed for one of these reasons.
    #[must_use]
    pub fn of(error: &reqwest::Error) -> Option<Self> {
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = next {
            if let Some(refused) = error.downcast_ref::<Self>() {
                return Some(*refused);
            }
            next = error.source();
        }
        None
    }
}

impl Client {
    /// The one way to a client.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub fn new(Options { allowed, redirects, timeout, resolver }: Options) -> reqwest::Result<Self> {
        let allowed: Arc<[IpNet]> = allowed.into();
        let guarded = Guarded { resolver, allowed: allowed.clone() };
        let networks = allowed.clone();
        let policy = Policy::custom(move |attempt| match check(attempt.url(), &networks) {
            _ if redirects == 0 => attempt.stop(),
            Ok(()) if attempt.previous().len() <= redirects => attempt.follow(),
            Ok(()) => attempt.error(Refused::TooManyRedirects),
            Err(refused) => attempt.error(refused),
        });
        let http = reqwest::Client::builder()
            .redirect(policy)
            .referer(false)
            .no_proxy()
            .dns_resolver(Arc::new(guarded))
            .connect_timeout(Duration::from_secs(5).min(timeout))
            .timeout(timeout)
            .pool_idle_timeout(Duration::from_secs(20))
            .pool_max_idle_per_host(8)
            .build()?;
        Ok(Self { http, allowed })
    }

    /// A request to an address that somebody has entered.
    ///
    /// # Errors
    /// [`Refused`], when it is clear already that it will not be called.
    pub fn request(&self, method: Method, url: &str) -> Result<RequestBuilder, Refused> {
        let url = Url::parse(url).map_err(|_| Refused::Scheme)?;
        check(&url, &self.allowed)?;
        Ok(self.http.request(method, url))
    }
}

/// What can be seen of an address before it is resolved.
fn check(url: &Url, allowed: &[IpNet]) -> Result<(), Refused> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refused::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refused::Credentials);
    }
    let address = match url.host().ok_or(Refused::Scheme)? {
        Host::Domain(_) => return Ok(()),
        Host::Ipv4(address) => IpAddr::V4(address),
        Host::Ipv6(address) => IpAddr::V6(address),
    };
    if address::may_be_called(address, allowed) { Ok(()) } else { Err(Refused::NotPublic) }
}

/// Names mean only what may be called.
struct Guarded {
    resolver: Arc<dyn Resolve>,
    allowed: Arc<[IpNet]>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(callable(self.resolver.resolve(name), self.allowed.clone()))
    }
}

/// What of it may be called.
async fn callable(asked: Resolving, allowed: Arc<[IpNet]>) -> Result<Addrs, Box<dyn Error + Send + Sync>> {
    let found: Vec<SocketAddr> = asked.await?.filter(|found| address::may_be_called(found.ip(), &allowed)).collect();
    if found.is_empty() {
        return Err(Refused::NotPublic.into());
    }
    Ok(Box::new(found.into_iter()))
}

/// What the operating system knows.
struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(looked_up(name))
    }
}

async fn looked_up(name: Name) -> Result<Addrs, Box<dyn Error + Send + Sync>> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
    Ok(Box::new(found.into_iter()))
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { allowed, redirects, timeout, resolver: _ } = self;
        f.debug_struct("Options").field("allowed", allowed).field("redirects", redirects).field("timeout", timeout).finish_non_exhaustive()
    }
}
