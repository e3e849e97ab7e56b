//! How a line of the route table is written: a path and its methods. Other methods answer 405 with `Allow`.

use actix_web::{
    FromRequest, Handler, Resource, Responder,
    http::Method,
    web::{self, method},
};

use super::Error;

/// A path and what it takes.
pub(super) struct Line {
    resource: Resource,
    allowed: Vec<&'static str>,
}

/// A line for a path.
pub(super) fn at(path: &str) -> Line {
    Line {
        resource: web::resource(path),
        allowed: Vec::new(),
    }
}

macro_rules! methods {
    ($($name:ident $method:ident),*) => {$(
        #[doc = concat!("Takes ", stringify!($method), ".")]
        pub(super) fn $name<F, Args>(self, handler: F) -> Self
        where
            F: Handler<Args>,
            Args: FromRequest + 'static,
            F::Output: Responder + 'static,
        {
            self.taking(Method::$method, stringify!($method), handler)
        }
    )*};
}

impl Line {
    methods!(get GET, head HEAD, post POST, put PUT, patch PATCH, delete DELETE);

    fn taking<F, Args>(mut self, verb: Method, name: &'static str, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.resource = self.resource.route(method(verb).to(handler));
        self.allowed.push(name);
        self
    }

    /// The finished line.
    pub(super) fn done(self) -> Resource {
        let allowed = self.allowed.join(", ");
        self.resource.default_service(web::to(move || {
            let allowed = allowed.clone();
            async move { Err::<String, Error>(Error::Method(allowed)) }
        }))
    }
}
