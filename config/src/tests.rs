use std::{os::unix::fs::PermissionsExt, path::PathBuf};

use figment::Jail;

use crate::{LogFormat, QueueTransport, Settings};

/// `KEY` is what `openssl rand -base64 32` prints.
const KEY: &str = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=";
const POSTGRES: &str = "postgres://somo:hunter2@db/somo";

/// Runs `check` in an empty folder, with these variables and no other `SOMO_` ones.
#[expect(clippy::result_large_err, reason = "figment's own error, and its own signature")]
fn with(variables: &[(&str, &str)], check: impl FnOnce(&mut Jail)) {
    Jail::expect_with(|jail| {
        jail.clear_env();
        for (name, value) in variables {
            jail.set_env(name, value);
        }
        check(jail);
        Ok(())
    });
}

fn refused(variables: &[(&str, &str)]) -> String {
    let mut text = String::new();
    with(variables, |_| text = format!("{:#}", Settings::load().expect_err("it must be refused")));
    text
}

#[test]
fn without_anything_it_is_sqlite_in_one_process() {
    with(&[], |_| {
        let settings = Settings::load().unwrap();
        assert_eq!(settings.bind.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.data_dir, PathBuf::from("./data"));
        assert_eq!(settings.database_url, "sqlite://./data/somo.sqlite");
        assert_eq!(settings.redis_url, None);
        assert_eq!(settings.queue_transport, QueueTransport::Local);
        assert_eq!(settings.public_url, "http://127.0.0.1:8080");
        assert_eq!((settings.secret_keys_old.len(), settings.cors_origins.len()), (0, 0));
        assert_eq!((settings.user_rate, settings.token_rate, settings.address_rate, settings.proxies), (1200, 0, 300, 0));
        assert_eq!(settings.smtp_url, None);
        assert_eq!(settings.mail_from, "SOMO <somo@localhost>");
        assert_eq!(settings.whatsapp_graph_url, "https://graph.facebook.com");
        assert_eq!(settings.whatsapp_graph_version, "v23.0");
        assert_eq!((settings.log.as_str(), settings.log_format), ("info", LogFormat::Text));
        assert_eq!((settings.admin_email.clone(), settings.admin_password.clone()), (None, None));
        assert_eq!(settings.max_body_bytes, 5 * 1024 * 1024);
        assert_eq!(settings.media_dir(), PathBuf::from("./data/media"));
        assert_eq!(settings.unknown, Vec::<String>::new());
    });
}

#[test]
fn a_variable_wins_over_the_file_and_the_file_over_the_default() {
    with(&[("SOMO_BIND", "0.0.0.0:9000"), ("SOMO_LOG", "")], |jail| {
        jail.create_file(
            "somo.toml",
            "bind = '127.0.0.1:1'\nlog = 'debug'\nmax_body_bytes = 1000\nadmin_email = 'a@b.c'\nadmin_password = 123456",
        )
        .unwrap();
        let settings = Settings::load().unwrap();
        assert_eq!(settings.bind.port(), 9000);
        assert_eq!(settings.log, "debug", "an empty variable counts as unset");
        assert_eq!(settings.max_body_bytes, 1000);
        assert_eq!(settings.admin_password.as_deref(), Some("123456"));
    });
}

#[test]
fn another_file_can_be_named() {
    with(&[("SOMO_CONFIG", "other.toml")], |jail| {
        let text = Settings::load().unwrap_err().to_string();
        assert!(text.contains("SOMO_CONFIG") && text.contains("other.toml"), "{text}");
        jail.create_file("other.toml", "log = 'warn'").unwrap();
        assert_eq!(Settings::load().unwrap().log, "warn");
    });
}

#[test]
fn values_of_digits_stay_text() {
    with(&[("SOMO_ADMIN_EMAIL", "a@b.c"), ("SOMO_ADMIN_PASSWORD", "0123456789")], |_| {
        assert_eq!(Settings::load().unwrap().admin_password.as_deref(), Some("0123456789"));
    });
}

#[test]
fn a_redis_delivers_when_there_is_one() {
    let url = ("SOMO_REDIS_URL", "redis://127.0.0.1:6379");
    with(&[url], |_| assert_eq!(Settings::load().unwrap().queue_transport, QueueTransport::Redis));
    for (word, transport) in [("local", QueueTransport::Local), ("apalis-redis", QueueTransport::ApalisRedis)] {
        with(&[url, ("SOMO_QUEUE_TRANSPORT", word)], |_| assert_eq!(Settings::load().unwrap().queue_transport, transport));
    }
    for word in ["redis", "apalis-redis"] {
        let text = refused(&[("SOMO_QUEUE_TRANSPORT", word)]);
        assert!(text.contains("SOMO_QUEUE_TRANSPORT") && text.contains("SOMO_REDIS_URL"), "{text}");
    }
}

#[test]
fn the_key_is_made_once_and_only_its_owner_can_read_it() {
    with(&[("SOMO_DATA_DIR", "kept")], |_| {
        let first = Settings::load().unwrap().secret_key;
        let file = std::fs::metadata("kept/secret.key").unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
        assert_eq!(Settings::load().unwrap().secret_key, first);
        assert_eq!(std::fs::read_dir("kept").unwrap().count(), 1, "nothing is left beside it");
    });
}

#[test]
fn processes_that_start_together_have_one_key() {
    with(&[], |_| {
        let starts: Vec<_> = (0..8).map(|_| std::thread::spawn(|| Settings::load().unwrap().secret_key)).collect();
        // All have ended before the first failure leaves the folder that they write to.
        let ends: Vec<_> = starts.into_iter().map(std::thread::JoinHandle::join).collect();
        let keys: Vec<_> = ends.into_iter().map(Result::unwrap).collect();
        assert!(keys.iter().all(|key| *key == keys[0]));
    });
}

#[test]
fn a_spoilt_key_file_is_not_replaced() {
    with(&[], |jail| {
        jail.create_dir("data").unwrap();
        jail.create_file("data/secret.key", "c2hvcnQ=").unwrap();
        let text = Settings::load().unwrap_err().to_string();
        assert!(text.contains("data/secret.key") && !text.contains("c2hvcnQ"), "{text}");
    });
}

#[test]
fn postgres_needs_a_key_that_all_processes_share() {
    let text = refused(&[("SOMO_DATABASE_URL", POSTGRES)]);
    assert!(text.contains("SOMO_SECRET_KEY") && text.contains("openssl rand -base64 32"), "{text}");
    with(&[("SOMO_DATABASE_URL", POSTGRES), ("SOMO_SECRET_KEY", KEY)], |_| {
        let settings = Settings::load().unwrap();
        assert_eq!(settings.secret_key.bytes()[..2], [0xab, 0xcd]);
        assert!(!settings.data_dir.exists(), "nothing is written");
    });
}

#[test]
fn lists_are_separated_by_commas() {
    let old = format!("{KEY}, {KEY}");
    with(&[("SOMO_SECRET_KEYS_OLD", &old), ("SOMO_CORS_ORIGINS", "https://Panel.example.com/, http://localhost:5173")], |_| {
        let settings = Settings::load().unwrap();
        assert_eq!(settings.secret_keys_old.len(), 2);
        assert_eq!(settings.cors_origins, ["https://panel.example.com", "http://localhost:5173"]);
    });
}

#[test]
fn what_is_wrong_is_named_and_never_repeated() {
    for (variable, value) in [
        ("SOMO_BIND", "nowhere"),
        ("SOMO_DATABASE_URL", "mysql://root:hunter2@db/somo"),
        ("SOMO_REDIS_URL", "hunter2@redis"),
        ("SOMO_QUEUE_TRANSPORT", "pigeon"),
        ("SOMO_SECRET_KEY", "aHVudGVyMg=="),
        ("SOMO_SECRET_KEYS_OLD", "aHVudGVyMg=="),
        ("SOMO_PUBLIC_URL", "example.com"),
        ("SOMO_CORS_ORIGINS", "https://hunter2@example.com"),
        ("SOMO_PROXIES", "nginx"),
        ("SOMO_USER_RATE", "20/s"),
        ("SOMO_SMTP_URL", "mail:hunter2@host"),
        ("SOMO_MAIL_FROM", "nobody"),
        ("SOMO_WHATSAPP_GRAPH_URL", "ftp://graph"),
        ("SOMO_LOG_FORMAT", "xml"),
        ("SOMO_MAX_BODY_BYTES", "5 MB"),
        ("SOMO_ADMIN_PASSWORD", "hunter2"),
    ] {
        let text = refused(&[(variable, value)]);
        assert!(text.contains(variable), "{variable}: {text}");
        assert!(!text.contains(value) && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_broken_file_is_named_without_its_secrets() {
    with(&[], |jail| {
        jail.create_file("somo.toml", "log = 'info'\nadmin_password = hunter2").unwrap();
        let text = format!("{:#}", Settings::load().unwrap_err());
        assert!(text.contains("somo.toml") && text.contains("line 2") && !text.contains("hunter2"), "{text}");
        jail.create_file("somo.toml", "smtp_url = 'hunter2'").unwrap();
        let text = format!("{:#}", Settings::load().unwrap_err());
        assert!(text.contains("smtp_url in somo.toml") && !text.contains("hunter2"), "{text}");
        jail.create_file("somo.toml", "admin_password = ['hunter2']").unwrap();
        let text = format!("{:#}", Settings::load().unwrap_err());
        assert!(text.contains("admin_password in somo.toml") && !text.contains("hunter2"), "{text}");
    });
}

#[test]
fn what_is_no_setting_is_told() {
    with(&[("SOMO_BINDD", "x"), ("SOMO_TEST_REDIS_URL", "x"), ("SOMO_CONFIG", "somo.toml")], |jail| {
        jail.create_file("somo.toml", "colour = 'red'").unwrap();
        assert_eq!(Settings::load().unwrap().unknown, ["SOMO_BINDD", "colour in somo.toml"]);
    });
}

#[test]
fn debug_shows_no_secret() {
    let secret = "hunter2/?#@";
    let with_password = |scheme: &str| format!("{scheme}://somo:{secret}@host/somo?password=hunter2");
    let variables = [
        ("SOMO_DATABASE_URL", with_password("postgres")),
        ("SOMO_REDIS_URL", with_password("redis")),
        ("SOMO_SMTP_URL", with_password("smtp")),
        ("SOMO_SECRET_KEY", KEY.to_owned()),
        ("SOMO_SECRET_KEYS_OLD", KEY.to_owned()),
        ("SOMO_ADMIN_EMAIL", "a@b.c".to_owned()),
        ("SOMO_ADMIN_PASSWORD", "hunter2".to_owned()),
    ];
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    with(&variables, |_| {
        let text = format!("{:?}", Settings::load().unwrap());
        assert!(!text.contains("hunter2") && !text.contains(KEY), "{text}");
        assert!(text.contains("postgres://***@host/somo") && text.contains("SecretKey(***)"), "{text}");
    });
}
