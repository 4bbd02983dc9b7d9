//! The one door to the `rsip` crate, for applications that want its types; never on the path of a call.
