//! How a line of the route table is written: a path, its methods, and with each of them what is told of it. Other methods
//! answer 405 with `Allow`.

use actix_web::{
    FromRequest, Handler, Resource, Responder,
    http::Method,
    web::{self, method},
};

use super::{
    Error,
    openapi::{Describer, Operation},
};

/// What describes an operation.
pub(super) type Describe = fn(&mut Describer<'_>) -> Operation;

/// A path and what it takes.
pub(super) struct Line {
    path: &'static str,
    resource: Resource,
    taken: Vec<(&'static str, Describe)>,
}

/// A line for a path.
pub(super) fn at(path: &'static str) -> Line {
    Line {
        path,
        resource: web::resource(path),
        taken: Vec::new(),
    }
}

macro_rules! methods {
    ($($name:ident $method:ident),*) => {$(
        #[doc = concat!("Takes ", stringify!($method), ", which is described so.")]
        pub(super) fn $name<F, Args>(self, handler: F, describe: Describe) -> Self
        where
            F: Handler<Args>,
            Args: FromRequest + 'static,
            F::Output: Responder + 'static,
        {
            self.taking((Method::$method, stringify!($method)), handler, describe)
        }
    )*};
}

impl Line {
    methods!(get GET, head HEAD, post POST, put PUT, patch PATCH, delete DELETE);

    fn taking<F, Args>(
        mut self,
        (verb, name): (Method, &'static str),
        handler: F,
        describe: Describe,
    ) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.resource = self.resource.route(method(verb).to(handler));
        self.taken.push((name, describe));
        self
    }

    /// The path, as a template.
    pub(super) fn path(&self) -> &'static str {
        self.path
    }

    /// The methods, and what describes each.
    pub(super) fn taken(&self) -> &[(&'static str, Describe)] {
        &self.taken
    }

    /// The finished line.
    pub(super) fn done(self) -> Resource {
        let allowed: Vec<&str> = self.taken.iter().map(|(name, _)| *name).collect();
        let allowed = allowed.join(", ");
        self.resource.default_service(web::to(move || {
            let allowed = allowed.clone();
            async move { Err::<String, Error>(Error::Method(allowed)) }
        }))
    }
}
