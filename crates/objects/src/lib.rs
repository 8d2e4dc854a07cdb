//! What an administrator can name: values and their text form, names, settings, rights,
//! password forms. Pure: no storage, no protocol, no clock.

pub mod value;
