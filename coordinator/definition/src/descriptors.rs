//! From a participant's file descriptor set to the methods that a definition calls.
//!
//! The set may come from server reflection or from an upload; it is pinned with the definition version, so it is first cut
//! down to the files that the called methods need, without comments, in an order of its own: the same methods give the same
//! bytes. It fetches nothing. Invariant: a [`Method`] is unary and its messages can be transcoded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::prost_types::{FileDescriptorProto, FileDescriptorSet};
use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};

use crate::big_stack;
use crate::document::Call;
use crate::finding::{did_you_mean, shown};

/// Descriptors that a definition can't use.
#[derive(Debug, thiserror::Error)]
pub enum DescriptorsError {
    /// Not a file descriptor set.
    #[error(
        "they are no google.protobuf.FileDescriptorSet — make them with `protoc --include_imports --descriptor_set_out=…`"
    )]
    Undecodable(#[source] prost::DecodeError),
    /// A file is missing that another one imports.
    #[error(
        "`{importer}` imports `{missing}`, which is not among them — include all imports (`protoc --include_imports`)"
    )]
    MissingImport {
        /// The file that needs it.
        importer: String,
        /// The file that isn't there.
        missing: String,
    },
    /// A file in Protobuf editions.
    #[error(
        "`{file}` uses Protobuf editions, which can't be read yet — describe the service in a proto3 file (the bytes on the \
         wire are the same) and upload its descriptor set"
    )]
    Editions {
        /// The file.
        file: String,
    },
    /// A file in a syntax that nobody knows.
    #[error(
        "`{file}` has the syntax {syntax:?}, which doesn't exist — generate them again from the participant's .proto files"
    )]
    UnknownSyntax {
        /// The file.
        file: String,
        /// What it says.
        syntax: String,
    },
    /// They are so damaged that linking them panics.
    #[error("they are damaged: {0} — generate them again from the participant's .proto files")]
    Damaged(String),
    /// The files contradict themselves or each other.
    #[error("they can't be linked: {0} — generate them again from the participant's .proto files")]
    Unlinkable(#[source] prost_reflect::DescriptorError),
    /// A service that isn't in them.
    #[error("there is no service `{}` — {mend}", shown(service))]
    UnknownService {
        /// The service.
        service: String,
        /// What to do.
        mend: String,
    },
    /// A method that the service doesn't have.
    #[error("`{}` has no method `{}` — {mend}", shown(service), shown(method))]
    UnknownMethod {
        /// The service.
        service: String,
        /// The method.
        method: String,
        /// What to do.
        mend: String,
    },
    /// A streaming method.
    #[error("`{call}` is a streaming method — call a unary one: one request, one reply")]
    Streaming {
        /// The method.
        call: Call,
    },
}

/// A method that a step calls.
#[derive(Clone)]
pub struct Method {
    path: String,
    pub(crate) input: MessageDescriptor,
    pub(crate) output: MessageDescriptor,
    /// Whether maps can occur in the message; they have no order of their own.
    pub(crate) input_has_maps: bool,
    pub(crate) output_has_maps: bool,
}

impl Method {
    /// The path of the HTTP/2 request, `/inventory.v1.Inventory/Reserve`; ASCII.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Method({})", self.path)
    }
}

/// The methods of one participant.
pub(crate) struct Methods {
    pool: DescriptorPool,
}

impl Methods {
    /// Links what [`prune`] has left.
    pub(crate) fn link(pruned: &[u8]) -> Result<Self, DescriptorsError> {
        // prost-reflect panics on some of what it should refuse.
        match big_stack::run(|| DescriptorPool::decode(pruned)) {
            Ok(linked) => linked.map(|pool| Self { pool }).map_err(DescriptorsError::Unlinkable),
            Err(error) => Err(DescriptorsError::Damaged(error.to_string())),
        }
    }

    /// The method of this name.
    pub(crate) fn find(&self, call: &Call) -> Result<Method, DescriptorsError> {
        let service = self.pool.get_service_by_name(&call.service).ok_or_else(|| {
            let all: Vec<String> = self.pool.services().map(|service| service.full_name().to_owned()).collect();
            unknown_service(call, all.iter().map(String::as_str))
        })?;
        let method = service.methods().find(|method| method.name() == call.method).ok_or_else(|| {
            let all: Vec<String> = service.methods().map(|method| method.name().to_owned()).collect();
            unknown_method(call, all.iter().map(String::as_str))
        })?;
        if method.is_client_streaming() || method.is_server_streaming() {
            return Err(DescriptorsError::Streaming { call: call.clone() });
        }
        let (input, output) = (method.input(), method.output());
        let (input_has_maps, output_has_maps) = (has_maps(&input), has_maps(&output));
        Ok(Method { path: format!("/{call}"), input, output, input_has_maps, output_has_maps })
    }
}

/// Whether a file descriptor set can be used: whole, in a syntax that can be read, and without contradictions.
pub fn check_descriptors(set: &[u8]) -> Result<(), DescriptorsError> {
    let set = FileDescriptorSet::decode(set).map_err(DescriptorsError::Undecodable)?;
    let files: BTreeMap<String, FileDescriptorProto> =
        set.file.into_iter().map(|file| (file.name().to_owned(), file)).collect();
    let mut kept = Kept { files: &files, seen: BTreeSet::new(), ordered: Vec::new() };
    for name in files.keys() {
        kept.add(name, name)?;
    }
    Methods::link(&FileDescriptorSet { file: kept.ordered }.encode_to_vec()).map(drop)
}

/// Cuts a file descriptor set down to what these calls need. The result is the same for the same calls and files, in
/// whatever order they came.
pub fn prune(set: &[u8], calls: &[Call]) -> Result<Bytes, DescriptorsError> {
    let set = FileDescriptorSet::decode(set).map_err(DescriptorsError::Undecodable)?;
    let files: BTreeMap<String, FileDescriptorProto> =
        set.file.into_iter().map(|file| (file.name().to_owned(), file)).collect();
    let mut kept = Kept { files: &files, seen: BTreeSet::new(), ordered: Vec::new() };
    let mut roots: Vec<&str> = calls.iter().map(|call| file_of(&files, call)).collect::<Result<_, _>>()?;
    roots.sort_unstable();
    for root in roots {
        kept.add(root, root)?;
    }
    Ok(FileDescriptorSet { file: kept.ordered }.encode_to_vec().into())
}

/// The file that defines the called service; the method must be in it.
fn file_of<'f>(files: &'f BTreeMap<String, FileDescriptorProto>, call: &Call) -> Result<&'f str, DescriptorsError> {
    let mut services = Vec::new();
    for (name, file) in files {
        for service in &file.service {
            let full_name = match file.package() {
                "" => service.name().to_owned(),
                package => format!("{package}.{}", service.name()),
            };
            if full_name == call.service {
                let found = service.method.iter().any(|method| method.name() == call.method);
                let known = service.method.iter().map(|method| method.name());
                return if found { Ok(name) } else { Err(unknown_method(call, known)) };
            }
            services.push(full_name);
        }
    }
    Err(unknown_service(call, services.iter().map(String::as_str)))
}

/// Files in the order of their imports, each once.
struct Kept<'f> {
    files: &'f BTreeMap<String, FileDescriptorProto>,
    seen: BTreeSet<String>,
    ordered: Vec<FileDescriptorProto>,
}

impl<'f> Kept<'f> {
    /// Adds a file after all that it imports. Imports may be as deep as there are files, so that it doesn't recurse.
    fn add(&mut self, name: &str, importer: &str) -> Result<(), DescriptorsError> {
        let mut way = Vec::from_iter(self.enter(name, importer)?.map(|file| (file, 0)));
        while let Some((file, next)) = way.last_mut() {
            let Some(import) = file.dependency.get(*next) else {
                self.ordered.push(FileDescriptorProto { source_code_info: None, ..FileDescriptorProto::clone(file) });
                way.pop();
                continue;
            };
            *next += 1;
            let importer = file.name();
            way.extend(self.enter(import, importer)?.map(|file| (file, 0)));
        }
        Ok(())
    }

    /// The file of this name; `None`: it was here before.
    fn enter(&mut self, name: &str, importer: &str) -> Result<Option<&'f FileDescriptorProto>, DescriptorsError> {
        if !self.seen.insert(name.to_owned()) {
            return Ok(None);
        }
        let Some(file) = self.files.get(name) else {
            return Err(DescriptorsError::MissingImport { importer: importer.to_owned(), missing: name.to_owned() });
        };
        match file.syntax() {
            "" | "proto2" | "proto3" => Ok(Some(file)),
            "editions" => Err(DescriptorsError::Editions { file: name.to_owned() }),
            other => Err(DescriptorsError::UnknownSyntax { file: name.to_owned(), syntax: shown(other) }),
        }
    }
}

fn unknown_service<'k>(call: &Call, known: impl Iterator<Item = &'k str> + Clone) -> DescriptorsError {
    let mend = match known.clone().next() {
        Some(_) => did_you_mean(&call.service, known),
        None => "the descriptors have no service at all: were they made of the right .proto file?".to_owned(),
    };
    DescriptorsError::UnknownService { service: call.service.clone(), mend }
}

fn unknown_method<'k>(call: &Call, known: impl Iterator<Item = &'k str> + Clone) -> DescriptorsError {
    let mend = did_you_mean(&call.method, known);
    DescriptorsError::UnknownMethod { service: call.service.clone(), method: call.method.clone(), mend }
}

/// Whether maps can occur anywhere in a message. Messages may lead to others as far as there are any.
fn has_maps(message: &MessageDescriptor) -> bool {
    let mut seen = BTreeSet::from([message.full_name().to_owned()]);
    let mut open = vec![message.clone()];
    while let Some(message) = open.pop() {
        // An Any may hold anything.
        if message.full_name() == "google.protobuf.Any" {
            return true;
        }
        for field in message.fields() {
            if field.is_map() {
                return true;
            }
            if let Kind::Message(inner) = field.kind()
                && seen.insert(inner.full_name().to_owned())
            {
                open.push(inner);
            }
        }
    }
    false
}
