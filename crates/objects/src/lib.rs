//! What an administrator can name: values and their text form, names, settings, rights,
//! password forms. Pure: no storage, no protocol, no clock.

pub mod configuration;
pub mod import;
pub mod mail_rule;
pub mod mailing_list;
pub mod name;
pub mod network;
pub mod password;
pub mod rights;
pub mod settings;
pub mod spelling;
pub mod text;
pub mod value;
