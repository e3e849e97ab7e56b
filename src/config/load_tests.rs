use std::{fs, iter, time::Duration};

use aws_lc_rs::{encoding::AsDer, rsa::KeySize, signature::RsaKeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};
use tempfile::TempDir;

use super::*;
use crate::{
    config::{App, LogLevel},
    model::{ApnsEnvironment, AppHost},
};

const EXAMPLE: &str = include_str!("../../config.example.toml");

fn source(text: &str) -> Source {
    Source {
        name: "config.toml".into(),
        text: text.into(),
        ..Source::default()
    }
}

fn variables(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    pairs.into_iter()
}

/// The message for `text` with the variables `pairs`; panics if it is a good config.
fn refusal(text: &str, pairs: &[(&str, &str)]) -> String {
    parse(source(text), variables(pairs))
        .expect_err(text)
        .to_string()
}

/// What the example says with all its settings set: a `#` with nothing blank behind it is taken away.
fn uncommented(example: &str) -> String {
    let lines = example.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => setting,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A folder with every file that the example names.
fn folder_with_credentials() -> TempDir {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default()
        .self_signed(&key)
        .unwrap();
    write("AuthKey.p8", &key.serialize_pem());
    write("vapid.pem", &key.serialize_pem());
    write("ca.pem", &certificate.pem());
    write("fullchain.pem", &certificate.pem());
    write("privkey.pem", &key.serialize_pem());
    let other = rcgen::KeyPair::generate().unwrap();
    write("otherkey.pem", &other.serialize_pem());
    write("wns-secret.txt", "s3cret\n");
    write(
        "service-account.json",
        &service_account("https://oauth2.googleapis.com/token"),
    );
    write(
        "elsewhere.json",
        &service_account("https://tokens.example.net/"),
    );
    write("rsa.p8", &rsa_pem());
    folder
}

fn rsa_pem() -> String {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = key.as_der().unwrap();
    let text = STANDARD.encode(der.as_ref());
    format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
}

fn service_account(token_uri: &str) -> String {
    serde_json::json!({
        "type": "service_account",
        "project_id": "todo-1",
        "client_email": "push@todo-1.iam.gserviceaccount.com",
        "private_key": rsa_pem(),
        "private_key_id": "abc",
        "token_uri": token_uri,
    })
    .to_string()
}

/// Loads `text` as a file in `folder`.
fn load_in(folder: &TempDir, text: &str) -> Result<Config, Error> {
    let path = folder.path().join("config.toml");
    fs::write(&path, text).unwrap();
    load(Some(&path), iter::empty())
}

#[test]
fn the_example_says_the_defaults() {
    let example = parse(source(EXAMPLE), iter::empty()).unwrap();
    assert_eq!(format!("{example:#?}"), format!("{:#?}", Config::default()));
}

#[test]
fn the_example_has_every_key() {
    let text = uncommented(EXAMPLE);
    let raw = shape(&source(&text), Vec::new()).unwrap();
    let shown = format!("{raw:#?}");
    // A certificate does not go with the ids of a key that signs, nor keys in a file with their URL: a sentence names them.
    let others = ["certificate_file", "jwks_file"];
    assert!(
        others
            .iter()
            .all(|key| EXAMPLE.contains(&format!("{key} = ")))
    );
    let missing: Vec<&str> = shown
        .lines()
        .filter(|line| line.contains(": None") && !others.iter().any(|key| line.contains(key)))
        .collect();
    assert!(missing.is_empty() && !raw.app.is_empty(), "{missing:?}");
    // Outside of the apps a key without a default is the only one that may be commented out.
    let plain = format!("{:#?}", shape(&source(EXAMPLE), Vec::new()).unwrap());
    let unset: Vec<&str> = plain
        .lines()
        .filter(|line| line.contains(": None"))
        .map(str::trim)
        .collect();
    let without = [
        "public_url: None,",
        "metrics_listen: None,",
        "tls: None,",
        "requests_per_address: None,",
        "requests_per_key: None,",
        "requests_per_user: None,",
    ];
    assert_eq!(unset, without);
}

#[test]
fn the_example_loads_with_all_its_settings() {
    let folder = folder_with_credentials();
    let config = load_in(&folder, &uncommented(EXAMPLE)).unwrap();
    assert_eq!(config.store.path, folder.path().join("data"));
    assert!(config.server.tls.is_some());
    let [app] = config.apps.as_slice() else {
        panic!("{:?}", config.apps);
    };
    assert_eq!(app.host.as_str(), "todo.example.com");
    assert_eq!(
        app.placeholder.for_locale(Some("de-AT")).title,
        "Neue Mitteilung"
    );
    assert_eq!(app.placeholder.default.body, None);
    let apns = app.apns.as_ref().unwrap();
    assert_eq!(apns.environment, ApnsEnvironment::Production);
    assert_eq!(app.fcm.as_ref().unwrap().project_id, "todo-1");
    assert!(app.web_push.as_ref().unwrap().key.is_some());
    let wns = app.wns.as_ref().unwrap();
    assert!(wns.placeholder_toast && wns.client_secret.expose() == "s3cret");
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn a_listeners_key_has_to_be_its_certificates() {
    let folder = folder_with_credentials();
    let refused = |section: &str| {
        let text = format!("[server.tls]\n{section}");
        load_in(&folder, &text).expect_err(section).to_string()
    };
    let other = refused("cert_file = \"fullchain.pem\"\nkey_file = \"otherkey.pem\"");
    assert!(
        other.contains("config.toml:3: server.tls.key_file: does not fit the certificate"),
        "{other}"
    );
    let missing = refused("cert_file = \"fullchain.pem\"");
    assert!(
        missing.contains("server.tls.key_file: is missing; write"),
        "{missing}"
    );
    let swapped = refused("cert_file = \"privkey.pem\"\nkey_file = \"fullchain.pem\"");
    assert!(
        swapped.contains("config.toml:2: server.tls.cert_file: "),
        "{swapped}"
    );
    assert!(swapped.contains("is not a certificate in PEM"), "{swapped}");
    assert!(swapped.contains("is not a private key in PEM"), "{swapped}");
}

#[test]
fn an_app_needs_a_host_alone() {
    let config = parse(
        source("[[app]]\nhost = \"Todo.Example.com\""),
        iter::empty(),
    )
    .unwrap();
    let app: &App = &config.apps[0];
    assert_eq!(app.host, AppHost::parse("todo.example.com").unwrap());
    assert_eq!(app.placeholder.default.title, "New notification");
    assert!(app.origins.is_empty() && app.web_push.is_none());
}

#[test]
fn faults_name_line_key_and_remedy() {
    let check = |text: &str, expected: &str| assert_eq!(refusal(text, &[]), expected, "{text}");
    check(
        "[delivery]\n\nstream_grace = \"5 parsecs\"",
        r#"config.toml:3: delivery.stream_grace: "5 parsecs" is not a duration; write for instance "5s", "15m", "12h" or "30d""#,
    );
    check(
        "[log]\nlevl = \"info\"",
        "config.toml:2: log.levl: is not a known key; known here: format, level",
    );
    check(
        "[[app]]\nhost = \"a\"\n[app.apns]\ncert_file = \"a\"",
        "config.toml:4: app.apns.cert_file: is not a known key; known here: key_file, key_id, team_id, \
         certificate_file, topic, sound, category, environment, endpoint, ca_file",
    );
    check(
        "[server]\nlimits = 5",
        "config.toml:2: server.limits: is not a section with keys of its own",
    );
    check(
        "log = \"hunter2\"",
        "config.toml:1: log: is not a section with keys of its own",
    );
    check(
        "[log]\nlevel = \"loud\"",
        r#"config.toml:2: log.level: "loud" is not known; write "error" or "warn" or "info" or "debug" or "trace""#,
    );
    check(
        "[delivery]\nsilent_per_hour = 601",
        "config.toml:2: delivery.silent_per_hour: 601 is not a whole number from 1 to 600",
    );
    check(
        "[delivery]\nendpoint_expiry = \"366d\"",
        r#"config.toml:2: delivery.endpoint_expiry: "366d" is out of range; write 1s to 365d"#,
    );
    check(
        "[delivery]\nretap_after = 900",
        r#"config.toml:2: delivery.retap_after: 900 has no unit; write for instance "5s", "15m" or "30d""#,
    );
    check(
        "[delivery]\nretry_base = \"1h\"",
        "config.toml:2: delivery.retry_base: is longer than delivery.retry_max; write a shorter one, or raise that",
    );
    check(
        "[server.limits]\nbody = true",
        r#"config.toml:2: server.limits.body: true is not a size; write for instance "64KiB" or 65536"#,
    );
    check(
        "[server]\nlisten = \"localhost:80\"",
        r#"config.toml:2: server.listen: "localhost:80" is not an address with a port; write for instance "127.0.0.1:8480" or "[::]:8480""#,
    );
    check(
        "[server]\nmetrics_listen = \"127.0.0.1:8480\"",
        "config.toml:2: server.metrics_listen: is the address of server.listen; write another port",
    );
}

#[test]
fn faults_of_an_app_name_its_line() {
    let check = |text: &str, expected: &str| assert_eq!(refusal(text, &[]), expected, "{text}");
    check(
        "[[app]]\nhost = \"a\"\n[[app]]\nhost = \"A\"",
        "config.toml:3: app.host: a has an [[app]] already; write one for each host",
    );
    check(
        "[[app]]\nprivacy = \"tap\"",
        r#"config.toml:1: app.host: is missing; write the app's name, for instance "todo.example.com""#,
    );
    check(
        "[[app]]\nhost = \"a\"\norigins = [\"*\"]",
        r#"config.toml:3: app.origins: may not hold *; write each origin, for instance "https://todo.example.com""#,
    );
}

#[test]
fn a_file_that_is_no_toml_is_pointed_at() {
    let reason = refusal("[server]\nlisten = ", &[]);
    assert!(reason.starts_with("config.toml:2: "), "{reason}");
    let reason = refusal("[log]\nlevel = \"info\"\nlevel = \"warn\"", &[]);
    assert!(reason.starts_with("config.toml:3: "), "{reason}");
}

#[test]
fn what_is_there_twice_is_named_with_both_lines() {
    let check = |text: &str, expected: &str| assert_eq!(refusal(text, &[]), expected);
    check(
        "[[app]]\nhost = \"a.b\"\n[app.webpush]\nsubject = \"mailto:a@b.c\"\n\n[app.webpush]\n",
        "config.toml:6: [app.webpush]: is in the file twice, first in line 3; keep one of them",
    );
    check(
        "[store]\npath = \"a\"\n[server]\nlisten = \"127.0.0.1:1\"\nlisten=\"127.0.0.1:2\"",
        "config.toml:5: listen: is in the file twice, first in line 4; keep one of them",
    );
}

#[test]
fn all_faults_of_values_come_at_once() {
    let text = "[log]\nlevel = 1\n[server]\nlisten = 2\n[[app]]\nhost = \"a b\"\n[app.webpush]\n[app.wns]\n";
    let reason = refusal(text, &[("BECKON_LOG__FORMAT", "xml")]);
    let places: Vec<&str> = reason
        .lines()
        .filter_map(|line| line.split(": ").next())
        .collect();
    let expected = [
        "config.toml:4",
        "BECKON_LOG__FORMAT",
        "config.toml:2",
        "config.toml:6",
        "config.toml:7",
        "config.toml:8",
        "config.toml:8",
    ];
    assert_eq!(places, expected, "{reason}");
}

#[test]
fn the_environment_wins() {
    let pairs = [
        ("BECKON_SERVER__LISTEN", "[::]:80"),
        ("BECKON_SERVER__LIMITS__BODY", "1MiB"),
        ("BECKON_DELIVERY__SILENT_PER_HOUR", "7"),
        ("BECKON_LOG__LEVEL", "debug"),
        ("BECKON_STORE__CACHE_BYTES", "1048576"),
        ("BECKON_CONFIG", "is not ours"),
        ("PATH", "/bin"),
    ];
    let text =
        "[server]\nlisten = \"no\"\n[server.limits]\ntitle = 99\n[delivery]\nretry_max = \"1h\"";
    let config = parse(source(text), variables(&pairs)).unwrap();
    assert_eq!(config.server.listen.to_string(), "[::]:80");
    assert_eq!(
        (config.server.limits.body, config.server.limits.title),
        (1 << 20, 99)
    );
    assert_eq!(config.delivery.silent_per_hour, 7);
    assert_eq!(config.delivery.retry_max, Duration::from_hours(1));
    assert_eq!(config.log.level, LogLevel::Debug);
    assert_eq!(config.store.cache_bytes, 1 << 20);
}

#[test]
fn faults_of_the_environment_name_the_variable() {
    let check = |name: &str, value: &str, expected: &str| {
        assert_eq!(
            refusal("[log]\nlevel = \"info\"\n", &[(name, value)]),
            expected,
            "{name}"
        );
    };
    check(
        "BECKON_LOG__LEVL",
        "info",
        "BECKON_LOG__LEVL: is not a known key; known here: format, level",
    );
    check(
        "BECKON_LOGS__LEVEL",
        "info",
        "BECKON_LOGS__LEVEL: is not a known key; known here: server, store, delivery, log, app",
    );
    check(
        "BECKON_APP__HOST",
        "a",
        "BECKON_APP__HOST: apps stand in the file alone; write an [[app]] there and unset the variable",
    );
    check(
        "BECKON_SERVER__LIMITS",
        "5",
        "BECKON_SERVER__LIMITS: is not a section with keys of its own",
    );
    check(
        "BECKON_LOG__LEVEL__X",
        "5",
        "BECKON_LOG__LEVEL__X: level is not a section in the config, so it has no keys",
    );
    check(
        "BECKON_SERVER__",
        "5",
        "BECKON_SERVER__: is not a known key; known here: listen, public_url, metrics_listen, tls, plain_http, trusted_proxies, forwarded_header, limits",
    );
}

#[test]
fn faults_of_networks_and_rates_say_what_to_write() {
    let check = |text: &str, expected: &str| assert_eq!(refusal(text, &[]), expected, "{text}");
    check(
        "[server]\ntrusted_proxies = [\"10.0.0.0/33\"]",
        r#"config.toml:2: server.trusted_proxies: "10.0.0.0/33" is not an address or a network; write for instance "127.0.0.1" or "10.0.0.0/8""#,
    );
    check(
        "[server.limits]\nrequests_per_user = \"0/s\"",
        r#"config.toml:2: server.limits.requests_per_user: "0/s" is not a rate; write for instance "50/s", "600/m" or "10000/h", each from 1 to 1000000"#,
    );
    check(
        "[server.limits]\nrequests_per_key = 50",
        r#"config.toml:2: server.limits.requests_per_key: 50 has no unit of time; write for instance "50/s" or "600/m""#,
    );
}

#[test]
fn credentials_that_are_not_what_they_should_be() {
    let folder = folder_with_credentials();
    let check = |section: &str, expected: &str| {
        let text = format!("[[app]]\nhost = \"a\"\n{section}");
        let reason = load_in(&folder, &text).expect_err(section).to_string();
        assert!(reason.contains(expected), "{section}: {reason}");
        assert!(
            reason.contains("config.toml:4: app."),
            "{section}: {reason}"
        );
    };
    check(
        "[app.apns]\nkey_file = \"gone.p8\"",
        "gone.p8 cannot be read (",
    );
    check("[app.apns]\nkey_file = \".\"", "cannot be read (");
    check(
        "[app.apns]\nkey_file = \"ca.pem\"",
        "ca.pem is not an EC P-256 key in PEM",
    );
    check(
        "[app.apns]\nkey_file = \"rsa.p8\"",
        "rsa.p8 is not an EC P-256 key in PEM",
    );
    check(
        "[app.apns]\nkey_file = \"-----BEGIN PRIVATE KEY-----\"",
        "holds the text of a file",
    );
    check(
        "[app.apns]\nkey_id = \"ABC\"",
        r#""ABC" is not ten letters and digits"#,
    );
    check(
        "[app.apns]\nendpoint = \"http://a\"",
        "does not begin with https:// and a host",
    );
    check(
        "[app.webpush]\nca_file = \"vapid.pem\"",
        "vapid.pem is not a certificate",
    );
    check(
        "[app.webpush]\nallowed_hosts = [\"a/b\"]",
        r#""a/b" is not a host"#,
    );
    check(
        "[app.fcm]\nservice_account_file = \"ca.pem\"",
        "is not a service account's JSON (line 1",
    );
    check(
        "[app.fcm]\nservice_account_file = \"elsewhere.json\"",
        "elsewhere.json has a token_uri",
    );
    let text = "[[app]]\nhost = \"a\"\n[app.fcm]\nservice_account_file = \"elsewhere.json\"\n\
                token_endpoint = \"https://127.0.0.1:1/\"";
    let config = load_in(&folder, text).unwrap();
    assert_eq!(
        config.apps[0].fcm.as_ref().unwrap().token_uri,
        "https://tokens.example.net/"
    );
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gone.toml");
    let reason = load(Some(&path), iter::empty()).unwrap_err().to_string();
    assert!(reason.contains("gone.toml: cannot be read ("), "{reason}");
}
