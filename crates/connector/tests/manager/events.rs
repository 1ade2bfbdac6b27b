//! Events: what a manager follows after a list

use serde_json::json;

use crate::world::{World, site_with};

#[tokio::test(start_paused = true)]
async fn who_lists_and_then_follows_misses_nothing() {
    let world = World::new();
    let running = world.start().await;
    let manual = site_with(&json!({ "connect": "manual", "labels": { "city": "Berlin" } }));
    let as_of = running.ask("GET", "/v1/sites").await.json()["as_of"].as_str().unwrap().to_owned();
    running.put("/v1/sites/b1", &manual).await;
    running.put("/v1/sites/b2", &site_with(&json!({ "connect": "manual" }))).await;
    running.ask("DELETE", "/v1/sites/b2").await;
    let kinds = |body: &str| -> Vec<String> {
        let kinds = body.lines().filter_map(|line| line.strip_prefix("event: "));
        kinds.map(str::to_owned).collect()
    };
    let all = running.ask("GET", &format!("/v1/events?since={as_of}")).await;
    let all = kinds(&all.body);
    assert_eq!(all.iter().filter(|it| *it == "site-set").count(), 2, "{all:?}");
    assert_eq!(all.iter().filter(|it| *it == "site-removed").count(), 1, "{all:?}");
    assert!(!all.contains(&"gap".to_owned()), "{all:?}");
    let path = format!("/v1/events?since={as_of}&select=@city%3DBerlin");
    let some = running.ask("GET", &path).await.body;
    assert!(some.contains("\"site\":\"b1\"") && !some.contains("\"site\":\"b2\""), "{some}");
    let other = running.ask("GET", "/v1/events?since=1-7").await;
    assert_eq!(kinds(&other.body).first().map(String::as_str), Some("gap"));
    for path in ["/v1/status", "/v1/problems", "/v1/sites", "/v1/sites/b1"] {
        let reply = running.ask("GET", path).await.json();
        let as_of = reply["as_of"].as_str().or_else(|| reply["more"]["as_of"].as_str());
        assert!(as_of.is_some_and(|it| it.contains('-')), "{path}: {reply}");
    }
    running.end().await;
}
