//! Client certificates at the APNs double.

use std::fs;
use std::path::Path;

use http_body_util::BodyExt as _;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;

use super::super::{NewCertificate, Service};
use super::api::call;
use super::drafts::*;
use super::support::*;

/// Sends each push over one connection by a certificate; gives statuses and reasons.
async fn send_by(rig: &Rig, certificate: &Path, drafts: &[Draft]) -> Vec<(u16, String)> {
    let authority = drafts[0].authority().to_owned();
    let stream = rig.tls_as(Some(certificate), &authority, &["h2"]).await;
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream.unwrap()))
            .await
            .unwrap();
    tokio::spawn(connection);
    let mut told = Vec::new();
    for draft in drafts {
        let reply = send_on(&mut sender, draft).await.unwrap();
        let reason = reply.json()["reason"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        told.push((reply.status, reason));
    }
    told
}

/// A good push without a token.
fn push(rig: &Rig) -> Draft {
    apns_push(rig, &rig.device(Service::Apns)).without("authorization")
}

fn ok() -> (u16, String) {
    (200, String::new())
}

fn refused(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

#[tokio::test]
async fn a_certificate_stands_in_for_a_token_and_says_the_topic() {
    let rig = Rig::start().await.restart().await;
    let good = push(&rig);
    let topic = |topic: &str| good.clone().with("apns-topic", topic);
    let bundle = &rig.settings().apns.topic;
    let drafts = [
        good.clone(),
        good.clone().without("apns-topic"),
        good.clone().with("authorization", "bearer ignored"),
        topic("com.example.other"),
        topic(&format!("{bundle}.voip")).with("apns-push-type", "voip"),
        good.clone().with("apns-push-type", "voip"),
        topic(&format!("{bundle}.location-query")).with("apns-push-type", "location"),
        good.clone().with("apns-priority", "7"),
    ];
    let told = send_by(&rig, &rig.settings().apns.certificate_file, &drafts).await;
    let expected = [
        ok(),
        ok(),
        ok(),
        refused(400, "TopicDisallowed"),
        refused(400, "TopicDisallowed"),
        refused(400, "BadTopic"),
        refused(400, "InvalidPushType"),
        refused(400, "BadPriority"),
    ];
    assert_eq!(told, expected);
    let without = rig.send2(&good).await;
    assert_eq!(without.json(), json!({ "reason": "MissingProviderToken" }));
    let by_token = apns_push(&rig, &rig.device(Service::Apns));
    assert_eq!(rig.send2(&by_token).await.status, 200, "tokens work beside");
}

#[tokio::test]
async fn a_certificate_for_several_topics_needs_one_named() {
    let rig = Rig::start().await;
    let good = push(&rig);
    let bundle = rig.settings().apns.topic.clone();
    let voip = format!("{bundle}.voip");
    let topics = [bundle.as_str(), &voip, "com.example.other"];
    let wanted = NewCertificate::of(&topics);
    let issued = rig.handle().issue_certificate(&wanted).unwrap();
    let drafts = [
        good.clone(),
        good.clone().without("apns-topic"),
        good.clone().with("apns-topic", &voip),
        good.clone().with("apns-topic", "com.example.other"),
        good.clone().with("apns-topic", "com.example.third"),
    ];
    let expected = [
        ok(),
        refused(400, "MissingTopic"),
        refused(400, "BadTopic"),
        refused(400, "DeviceTokenNotForTopic"),
        refused(400, "TopicDisallowed"),
    ];
    assert_eq!(send_by(&rig, &issued.file, &drafts).await, expected);
}

#[tokio::test]
async fn what_apple_does_not_take_is_refused_with_its_reason() {
    let rig = Rig::start().await;
    let good = [push(&rig)];
    let bundle = rig.settings().apns.topic.clone();
    let wanted = NewCertificate::of(&[&bundle]);
    let issued = rig.handle().issue_certificate(&wanted).unwrap();
    assert_eq!(send_by(&rig, &issued.file, &good).await, [ok()]);
    rig.handle().revoke_certificates().unwrap();
    let told = send_by(&rig, &issued.file, &good).await;
    assert_eq!(told, [refused(403, "BadCertificate")]);
    let sandbox = NewCertificate {
        sandbox: true,
        ..wanted
    };
    let sandbox = rig.handle().issue_certificate(&sandbox).unwrap();
    let told = send_by(&rig, &sandbox.file, &good).await;
    assert_eq!(told, [refused(403, "BadCertificateEnvironment")]);
    let rig = rig.restart().await;
    let told = send_by(&rig, &issued.file, &good).await;
    assert_eq!(
        told,
        [refused(403, "BadCertificate")],
        "after a restart, too"
    );
}

/// How a handshake by a certificate ends: of TLS 1.3 the client learns it with the first thing that it reads.
async fn alert(rig: &Rig, certificate: &Path) -> String {
    let draft = push(rig);
    let stream = rig.tls_as(Some(certificate), draft.authority(), &["h2"]);
    let mut stream = match stream.await {
        Ok(stream) => stream,
        Err(error) => return error.to_string(),
    };
    let read = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 16]).await;
    read.unwrap_err().to_string()
}

#[tokio::test]
async fn a_certificate_that_ended_or_is_a_strangers_ends_the_handshake() {
    let rig = Rig::start().await;
    let now = u64::try_from(now(&rig)).unwrap();
    let wanted = NewCertificate {
        ends_at_secs: Some(now + 3600),
        ..NewCertificate::of(&[&rig.settings().apns.topic])
    };
    let issued = rig.handle().issue_certificate(&wanted).unwrap();
    assert_eq!(send_by(&rig, &issued.file, &[push(&rig)]).await, [ok()]);
    rig.handle().set_clock_offset(7200);
    let told = alert(&rig, &issued.file).await;
    assert!(told.contains("CertificateExpired"), "{told}");
    let stranger = rcgen::generate_simple_self_signed([String::from("stranger")]).unwrap();
    let file = rig.folder.path().join("stranger.pem");
    let pem = stranger.cert.pem() + &stranger.signing_key.serialize_pem();
    fs::write(&file, pem).unwrap();
    let told = alert(&rig, &file).await;
    assert!(told.contains("UnknownCA"), "{told}");
}

#[tokio::test]
async fn many_streams_need_no_proof_by_a_certificate() {
    let rig = Rig::start().await;
    let good = push(&rig);
    let certificate = rig.settings().apns.certificate_file.clone();
    let stream = rig
        .tls_as(Some(&certificate), good.authority(), &["h2"])
        .await;
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream.unwrap()))
            .await
            .unwrap();
    tokio::spawn(connection);
    let sends = (0..20).map(|_| {
        let (mut sender, request) = (sender.clone(), good.request(true));
        async move {
            let answer = sender.send_request(request).await.unwrap();
            let status = answer.status();
            answer.into_body().collect().await.unwrap();
            status.as_u16()
        }
    });
    assert_eq!(futures_util::future::join_all(sends).await, [200; 20]);
}

#[tokio::test]
async fn the_door_makes_and_revokes_certificates() {
    let rig = Rig::start().await;
    let bundle = rig.settings().apns.topic.clone();
    let wanted = json!({ "topics": [bundle] });
    let (status, made) = call(&rig, "POST", "/v1/certificates", Some(wanted)).await;
    assert_eq!(status, 201, "{made}");
    let file = Path::new(made["file"].as_str().unwrap());
    assert_eq!(send_by(&rig, file, &[push(&rig)]).await, [ok()]);
    let none = json!({ "topics": [] });
    let (status, refusal) = call(&rig, "POST", "/v1/certificates", Some(none)).await;
    assert_eq!(status, 400, "{refusal}");
    let (status, _) = call(&rig, "DELETE", "/v1/certificates", None).await;
    assert_eq!(status, 204);
    let told = send_by(&rig, file, &[push(&rig)]).await;
    assert_eq!(told, [refused(403, "BadCertificate")]);
}
