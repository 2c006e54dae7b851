//! Which method a path means: the annotations of the descriptors as a table.
//!
//! Made once, when the server starts. It knows no method by name: what is annotated is served. Invariant: no two routes match
//! the same request by variables alone; a literal segment wins over a variable.

mod nearest;
mod template;
#[cfg(test)]
mod tests;

use http::Method;
use http::uri::PathAndQuery;
use prost_reflect::{DescriptorError, DescriptorPool, DynamicMessage, FieldDescriptor, MethodDescriptor, Value};

pub(crate) use template::Template;

const ANNOTATION: &str = "google.api.http";
/// The fields of an annotation that hold a path.
const VERBS: [(&str, Method); 5] = [
    ("get", Method::GET),
    ("put", Method::PUT),
    ("post", Method::POST),
    ("delete", Method::DELETE),
    ("patch", Method::PATCH),
];

/// All routes.
#[derive(Debug)]
pub(crate) struct Table {
    routes: Vec<Route>,
}

/// One way to reach one method.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) verb: Method,
    pub(crate) template: Template,
    pub(crate) body: BodyOf,
    pub(crate) rpc: MethodDescriptor,
    /// Counts the ways to the same method, from 0; the first one is the one to show.
    pub(crate) way: usize,
    /// How gRPC names the method.
    pub(crate) grpc_path: PathAndQuery,
}

/// What the body of a request holds.
#[derive(Debug)]
pub(crate) enum BodyOf {
    Nothing,
    /// All fields that aren't in the path.
    Message,
    /// This field; the others are in the path or the query.
    Field(FieldDescriptor),
}

/// A path for a request.
#[derive(Debug)]
pub(crate) enum Found<'t> {
    /// The route, and the values of its variables.
    Route(&'t Route, Vec<String>),
    /// The path is there, for these methods.
    Otherwise(Vec<Method>),
    /// There is no such path; the one that was most likely meant.
    Nothing(Option<&'t Route>),
}

/// An annotation that can't be served.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP annotation of {method} can't be served: {why}")]
pub(crate) struct Unroutable {
    method: String,
    why: String,
}

impl Unroutable {
    /// The descriptors themselves can't be read.
    pub(super) fn descriptors(error: DescriptorError) -> Self {
        Self { method: "every method".to_owned(), why: error.to_string() }
    }
}

impl Table {
    /// Reads the annotations of all services of the pool.
    pub(crate) fn read(pool: &DescriptorPool) -> Result<Self, Unroutable> {
        let mut routes: Vec<Route> = Vec::new();
        for rpc in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let unroutable = |why| Unroutable { method: rpc.full_name().to_owned(), why };
            for (way, rule) in rules(pool, &rpc).iter().enumerate() {
                let route = Route::read(&rpc, way, rule).map_err(unroutable)?;
                let shape = route.template.shape();
                if let Some(other) = routes.iter().find(|it| it.verb == route.verb && it.template.shape() == shape) {
                    return Err(unroutable(format!("{} {shape} is {}", route.verb, other.rpc.full_name())));
                }
                routes.push(route);
            }
        }
        // Literals before variables; else as the files have them.
        routes.sort_by_key(|route| route.template.variables().count());
        Ok(Self { routes })
    }

    /// What a request asks for.
    pub(crate) fn find(&self, verb: &Method, path: &str) -> Found<'_> {
        let wanted = if *verb == Method::HEAD { &Method::GET } else { verb };
        let matching = self.routes.iter().filter_map(|route| Some((route, route.template.matches(path)?)));
        let mut others = Vec::new();
        for (route, values) in matching {
            if route.verb == *wanted {
                return Found::Route(route, values);
            }
            if !others.contains(&route.verb) {
                others.push(route.verb.clone());
            }
        }
        match others.is_empty() {
            true => Found::Nothing(nearest::nearest(&self.routes, wanted, path)),
            false => Found::Otherwise(others),
        }
    }

    /// All routes, a method's own ways side by side.
    pub(crate) fn all(&self) -> Vec<&Route> {
        let mut all: Vec<&Route> = self.routes.iter().collect();
        all.sort_by(|a, b| (a.rpc.full_name(), a.way).cmp(&(b.rpc.full_name(), b.way)));
        all
    }

    /// The first way to each method.
    pub(crate) fn main_routes(&self) -> impl Iterator<Item = &Route> {
        self.all().into_iter().filter(|route| route.way == 0)
    }
}

impl Route {
    fn read(rpc: &MethodDescriptor, way: usize, rule: &DynamicMessage) -> Result<Self, String> {
        let text = |field: &str| {
            let value = rule.has_field_by_name(field).then(|| rule.get_field_by_name(field)).flatten();
            value.and_then(|value| value.as_str().map(str::to_owned))
        };
        let pattern = VERBS.into_iter().find_map(|(field, verb)| Some((verb, text(field)?)));
        let (verb, path) = pattern.ok_or("it has no path")?;
        let body = match text("body").as_deref() {
            None | Some("") => BodyOf::Nothing,
            Some("*") => BodyOf::Message,
            Some(name) => {
                let field = rpc.input().get_field_by_name(name);
                BodyOf::Field(field.ok_or_else(|| format!("{} has no {name:?}", rpc.input().full_name()))?)
            }
        };
        if rpc.is_client_streaming() {
            return Err("a stream of requests can't come over HTTP".to_owned());
        }
        let template = Template::parse(&path, &rpc.input()).map_err(|why| format!("{path}: {why}"))?;
        let grpc_path = format!("/{}/{}", rpc.parent_service().full_name(), rpc.name());
        let grpc_path = grpc_path.parse().map_err(|error| format!("{grpc_path}: {error}"))?;
        Ok(Self { verb, template, body, rpc: rpc.clone(), way, grpc_path })
    }
}

/// The annotation of a method and its additional bindings; none where it isn't annotated.
fn rules(pool: &DescriptorPool, rpc: &MethodDescriptor) -> Vec<DynamicMessage> {
    let options = rpc.options();
    let annotation = pool.get_extension_by_name(ANNOTATION).filter(|annotation| options.has_extension(annotation));
    let Some(annotation) = annotation else { return Vec::new() };
    let Some(rule) = options.get_extension(&annotation).as_message().cloned() else { return Vec::new() };
    let more = rule.get_field_by_name("additional_bindings").and_then(|more| more.as_list().map(<[Value]>::to_vec));
    let more = more.unwrap_or_default();
    std::iter::once(rule).chain(more.iter().filter_map(|more| more.as_message().cloned())).collect()
}
