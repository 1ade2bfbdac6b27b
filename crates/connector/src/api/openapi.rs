//! The document of `OpenAPI`: paths from the table of routes, objects from their types

use std::sync::OnceLock;

use axum::Json;
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema, openapi::RefOr};

use super::{
    problem::Problem,
    routes::{Body, Parameter, ROUTES, Route},
    view::{
        ChangedView, EventView, FindingView, KeyView, PingView, ProblemsView, ReloadView,
        RolloutView, SiteView, SitesView, StatusView,
    },
};
use crate::configuration::site_schema;

/// Answers with the document
pub(super) async fn document() -> Json<&'static Value> {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    Json(DOCUMENT.get_or_init(make))
}

fn make() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.to_ascii_lowercase(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "pptp-connector",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Roles: read; operate and reach have read as well; admin has all.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut parameters = Vec::new();
    if route.path.contains("{site}") {
        let schema = json!({ "type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" });
        parameters
            .push(json!({ "name": "site", "in": "path", "required": true, "schema": schema }));
    }
    parameters.extend(route.parameters.iter().map(parameter));
    let mut operation = json!({
        "summary": route.about,
        "parameters": parameters,
        "responses": responses(route),
    });
    let Some(object) = operation.as_object_mut() else { return operation };
    if let Some(role) = route.role {
        object.insert("x-role".into(), json!(role.name()));
        object.insert("security".into(), json!([{ "token": [] }]));
    }
    if let Some(body) = route.body {
        let schema = match body {
            Body::Site => json!({ "$ref": "#/components/schemas/Site" }),
            Body::Sites => json!({ "$ref": "#/components/schemas/Sites" }),
        };
        let content = json!({ "application/json": { "schema": schema } });
        object.insert("requestBody".into(), json!({ "required": true, "content": content }));
    }
    operation
}

fn parameter(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "in": if parameter.is_header { "header" } else { "query" },
        "required": parameter.is_required,
        "description": parameter.about,
        "schema": { "type": parameter.kind },
    })
}

fn responses(route: &Route) -> Value {
    let (status, kind, schema) = route.answer;
    let mut responses = Map::new();
    let mut success = json!({ "description": "It is done" });
    if let Some(object) = success.as_object_mut().filter(|_| !kind.is_empty()) {
        let schema = schema.map_or_else(|| json!({}), reference);
        object.insert("content".into(), json!({ kind: { "schema": schema } }));
    }
    responses.insert(status.to_string(), success.clone());
    if status == 202 {
        responses.insert("200".into(), success.clone());
    }
    if (route.method, route.body) == ("PUT", Some(Body::Site)) {
        responses.insert("201".into(), success);
    }
    let problem = json!({ "application/problem+json": { "schema": reference("Problem") } });
    let failure =
        json!({ "description": "It is refused; `type` and `detail` say why", "content": problem });
    responses.insert("default".into(), failure);
    Value::Object(responses)
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn schemas() -> Value {
    let mut all = Vec::new();
    add::<Problem>(&mut all);
    add::<StatusView>(&mut all);
    add::<ProblemsView>(&mut all);
    add::<EventView>(&mut all);
    add::<KeyView>(&mut all);
    add::<ReloadView>(&mut all);
    add::<RolloutView>(&mut all);
    add::<SitesView>(&mut all);
    add::<SiteView>(&mut all);
    add::<ChangedView>(&mut all);
    add::<PingView>(&mut all);
    add::<FindingView>(&mut all);
    let schema = |schema| serde_json::to_value(schema).unwrap_or_default();
    let mut schemas: Map<_, _> = all.into_iter().map(|(name, it)| (name, schema(it))).collect();
    let names = json!({ "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" });
    let sites = json!({
        "type": "object",
        "propertyNames": names,
        "additionalProperties": reference("Site"),
    });
    schemas.insert("Site".into(), site_schema());
    schemas.insert(
        "Sites".into(),
        json!({
            "type": "object",
            "required": ["sites"],
            "additionalProperties": false,
            "properties": { "sites": sites },
        }),
    );
    Value::Object(schemas)
}

/// Adds the schema of a type, and those of the types in it
fn add<T: ToSchema + PartialSchema>(all: &mut Vec<(String, RefOr<utoipa::openapi::Schema>)>) {
    all.push((T::name().into_owned(), T::schema()));
    T::schemas(all);
}
