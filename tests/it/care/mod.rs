//! The store's care, as an operator does it: backup, restore, compact; and what is said of damage.

mod backup;
mod clock;
mod compact;
mod damage;
mod restore;

use std::{fs, path::Path};

use serde_json::json;

use crate::support::{ChildHub, Client};

/// A device of ada's that pulls, without a push service.
pub async fn phone(hub: &ChildHub) -> Client {
    let minted = hub
        .app()
        .post("/v1/users/ada/tokens", json!({"endpointId": "phone"}))
        .await
        .expect(201);
    let phone = hub.client().bearer(minted["token"].as_str().unwrap());
    let body = json!({"platform": "iOS", "channel": {"type": "none"}});
    phone.put("/v1/me/endpoints/phone", body).await.expect(201);
    phone
}

/// Posts to ada, and gives the id.
pub async fn post(hub: &ChildHub, title: &str) -> String {
    let body = json!({"payload": {"visualContent": {"title": title, "body": "b".repeat(900)}}});
    let posted = hub.app().post("/v1/users/ada/notifications", body).await;
    posted.expect(201)["id"].as_str().unwrap().to_owned()
}

/// Pulls all from the beginning: the titles that are there, and the cursor.
pub async fn pull(phone: &Client) -> (Vec<String>, String) {
    let page = phone
        .get("/v1/me/notifications/delta?$top=1000")
        .await
        .expect(200);
    let titles = page["value"].as_array().unwrap().iter().map(|it| {
        let title = &it["payload"]["visualContent"]["title"];
        title.as_str().unwrap().to_owned()
    });
    let link = page["@odata.deltaLink"].as_str().unwrap();
    let cursor = link.rsplit_once("$deltatoken=").unwrap().1;
    (titles.collect(), cursor.to_owned())
}

/// The status of a pull from a cursor.
pub async fn pulled_from(phone: &Client, cursor: &str) -> u16 {
    let path = format!("/v1/me/notifications/delta?$deltatoken={cursor}");
    phone.get(&path).await.status.as_u16()
}

/// Copies a data folder that rests.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
