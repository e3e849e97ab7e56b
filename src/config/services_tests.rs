use std::fs;

use tempfile::TempDir;

use super::*;
use crate::config::{self, App};

/// One app with this section, whose files are a certificate, its key, and both in one.
fn app(section: &str) -> Result<std::sync::Arc<App>, String> {
    let folder = TempDir::new().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut wanted = rcgen::CertificateParams::default();
    wanted.not_after = rcgen::date_time_ymd(2031, 1, 2);
    let pem = wanted.self_signed(&key).unwrap().pem();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    write("cert.pem", pem.clone());
    write("key.pem", key.serialize_pem());
    write("both.pem", format!("{}{pem}", key.serialize_pem()));
    write("secret.txt", "s3cret".to_owned());
    write("config.toml", format!("[[app]]\nhost = \"a\"\n{section}\n"));
    let file = folder.path().join("config.toml");
    let loaded = config::load(Some(&file), std::iter::empty());
    loaded
        .map(|config| config.apps[0].clone())
        .map_err(|error| error.to_string())
}

#[test]
fn a_certificate_in_the_place_of_a_key_that_signs() {
    let apns = |settings: &str| app(&format!("[app.apns]\ntopic = \"t\"\n{settings}"));
    for good in [
        "certificate_file = \"both.pem\"",
        "certificate_file = \"cert.pem\"\nkey_file = \"key.pem\"",
    ] {
        let app = apns(good).unwrap();
        let ApnsLogin::Certificate(read) = &app.apns.as_ref().unwrap().login else {
            panic!("{good}")
        };
        assert_eq!(read.facts.expires.to_string(), "2031-01-02T00:00:00.000Z");
    }
    let check = |settings: &str, expected: &str| {
        let reason = apns(settings).expect_err(settings);
        assert!(reason.contains(expected), "{settings}: {reason}");
    };
    check(
        "certificate_file = \"cert.pem\"",
        "app.apns.certificate_file: holds no private key; add the key",
    );
    check(
        "certificate_file = \"key.pem\"",
        "is not a certificate in PEM",
    );
    check(
        "certificate_file = \"gone.pem\"",
        "gone.pem cannot be read (",
    );
    check(
        "certificate_file = \"cert.pem\"\nkey_file = \"cert.pem\"",
        "is not a private key in PEM",
    );
    check(
        "certificate_file = \"both.pem\"\nkey_id = \"ABC123DEFG\"",
        "app.apns.key_id: belongs to a key that signs tokens; leave it out",
    );
    check("", "or certificate_file in its place");
}

#[test]
fn entra_or_the_older_login() {
    let wns = |settings: &str| {
        app(&format!(
            "[app.wns]\nclient_secret_file = \"secret.txt\"\n{settings}"
        ))
    };
    let older = wns("client_id = \"ms-app://S-1-15-2-1\"").unwrap();
    assert_eq!(older.wns.as_ref().unwrap().tenant_id, None);
    let entra = wns("client_id = \"1\"\ntenant_id = \"t\"").unwrap();
    assert_eq!(entra.wns.as_ref().unwrap().tenant_id.as_deref(), Some("t"));
    let check = |settings: &str, expected: &str| {
        let reason = wns(settings).expect_err(settings);
        assert!(reason.contains(expected), "{settings}: {reason}");
    };
    check(
        "client_id = \"1\"",
        "app.wns.tenant_id: is missing; write the directory",
    );
    check(
        "client_id = \"ms-app://S-1\"\ntenant_id = \"t\"",
        "app.wns.tenant_id: does not go with a Package SID",
    );
    check("", "app.wns.client_id: is missing");
}

#[test]
fn subjects() {
    let check = |input: &str, good: bool| {
        assert_eq!(
            subject_text(&Value::String(input.into())).is_ok(),
            good,
            "{input}"
        );
    };
    check("mailto:ops@example.com", true);
    check("https://example.com/contact", true);
    check("mailto:a@localhost", false);
    check("mailto:a@LOCALHOST.", false);
    check("mailto:a@127.0.0.1", false);
    check("https://[::1]/x", false);
    check("https://[::ffff:127.0.0.1]/x", false);
    check("https://localhost./x", false);
    check("mailto:ops@hub.invalid", false);
    check("mailto:<ops@example.com>", false);
    check("https://localhost/contact", false);
    check("mailto:ops", false);
    check("mailto:@example.com", false);
    check("mailto:a b@example.com", false);
    check("http://example.com", false);
    check("ops@example.com", false);
}
