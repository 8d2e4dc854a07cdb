//! The contract suite: one promise, one test, named as the sentence it promises. Every edition
//! runs all of it.
//!
//! An edition's test file is a call of [`contract_suite!`](crate::contract_suite) with how to open
//! a fresh store, one of [`reopen_suite!`](crate::reopen_suite) with an [`Edition`] that can be
//! closed and opened again, and, if it likes, longer runs of [`model::agrees`]. This code must
//! never know an edition.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests; the name of each promise says all")]

pub mod account_files;
pub mod accounts;
pub mod bodies;
pub mod copies;
pub mod directory;
pub mod faults;
pub mod feed;
pub mod flags;
pub mod idempotence;
pub mod mailboxes;
pub mod messages;
pub mod model;
pub mod numbers;
pub mod queue;
pub mod queue_order;
pub mod renames;
pub mod reopen;
mod scene;
pub mod search;

use std::future::Future;

use async_trait::async_trait;

use crate::Store;

/// An edition over something lasting, that can be closed and opened again.
#[async_trait]
pub trait Edition: Send + Sync {
    /// Opens the store, fresh the first time, as it was left after that.
    async fn open(&self) -> Store;
    /// Ends the store (this is its last clone) and waits until it can be opened again.
    async fn close(&self, store: Store);
}

/// A fresh store and what must live as long as it, such as its temporary directory: `Store`
/// alone or a pair of both.
pub trait Fresh {
    /// What must outlive the store.
    type Guard;
    /// The store and its guard.
    fn parts(self) -> (Store, Self::Guard);
}

impl Fresh for Store {
    type Guard = ();
    fn parts(self) -> (Store, ()) {
        (self, ())
    }
}

impl<G> Fresh for (Store, G) {
    type Guard = G;
    fn parts(self) -> (Store, G) {
        self
    }
}

/// Runs a future on a runtime of its own with two workers; the macros' tests are made of it.
///
/// # Panics
/// When the runtime cannot be built, or when the promise is broken.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(test)
}

/// Opens a fresh store and holds it to one promise.
///
/// # Panics
/// When the promise is broken.
pub fn hold<F, Opening, Promise>(
    open: impl FnOnce() -> Opening,
    promise: impl FnOnce(Store) -> Promise,
) where
    F: Fresh,
    Opening: Future<Output = F>,
    Promise: Future<Output = ()>,
{
    run(async {
        let (store, guard) = open().await.parts();
        Box::pin(promise(store)).await;
        drop(guard);
    });
}

/// Calls the macro given with every promise of the suite: `family { promise, … } …`.
#[doc(hidden)]
#[macro_export]
macro_rules! every_promise {
    ($callback:path, $($argument:tt)*) => {
        $callback! { [$($argument)*]
            mailboxes {
                a_new_account_has_an_empty_inbox,
                mailboxes_are_listed_in_the_order_of_their_names,
                a_mailbox_keeps_its_class_special_use_and_rights,
                missing_parents_are_made_as_directories,
                making_a_mailbox_twice_answers_exists,
                a_directory_becomes_selectable_with_a_fresh_validity,
                a_directory_holds_no_messages,
                a_name_with_an_empty_level_is_refused,
                inbox_cannot_be_removed,
                a_removed_mailbox_is_gone,
                a_removed_mailbox_with_children_becomes_a_directory,
                a_directory_with_children_cannot_be_removed,
                a_directory_goes_with_its_last_child,
                made_parents_and_left_directories_keep_the_access_rights,
                mailboxes_that_keep_messages_back_are_named,
                an_empty_directory_can_be_removed,
                a_name_made_again_gets_another_validity,
                a_validity_is_at_least_now,
                a_given_validity_is_kept,
                a_mailbox_id_is_never_given_again,
                attributes_change_one_by_one,
                annotations_stay_with_their_mailbox_until_it_is_removed,
                annotations_change_all_or_none_and_within_their_bounds,
                uid_next_may_only_grow,
                an_unknown_account_is_not_found,
                an_unknown_mailbox_is_not_found,
                a_mailbox_of_another_account_is_not_found,
            }
            account_files {
                a_file_keeps_its_bytes_size_and_date,
                a_file_written_again_has_the_new_bytes_alone,
                a_file_grows_without_its_first_pieces_being_written_again,
                a_file_keeps_pieces_of_its_own_only,
                a_new_file_is_not_written_over_another,
                directories_are_made_listed_and_in_the_way,
                a_path_that_leads_up_or_is_too_long_is_refused,
                a_directory_is_renamed_with_everything_below_it,
                a_file_or_an_empty_directory_is_removed,
                an_account_keeps_no_more_files_than_there_is_room_for,
                files_at_the_same_time_stay_within_the_room,
                files_follow_their_account_and_go_with_it,
                files_of_two_accounts_are_apart,
                a_write_of_a_file_that_fails_changes_nothing_and_can_be_repeated,
            }
            renames {
                a_rename_keeps_id_validity_and_messages,
                a_rename_takes_everything_below_along,
                a_rename_touches_no_mailbox_with_a_similar_name,
                a_rename_makes_missing_parents,
                a_rename_leaves_no_empty_directory_behind,
                a_rename_onto_a_taken_name_answers_exists,
                a_rename_of_nothing_answers_not_found,
                a_rename_below_itself_is_refused,
                a_renamed_name_is_free_again,
                renaming_inbox_moves_its_messages_and_leaves_it_empty,
                renaming_inbox_leaves_its_children,
                inbox_goes_on_with_its_uids_after_a_rename,
                a_name_never_sees_a_validity_twice_after_renames,
            }
            messages {
                uids_ascend_from_uid_next,
                a_message_keeps_its_bytes_dates_and_flags,
                an_append_of_many_is_in_the_order_given,
                a_refused_message_keeps_the_whole_append_out,
                a_given_uid_is_kept_and_uid_next_follows,
                a_given_uid_below_uid_next_is_refused,
                given_uids_that_do_not_ascend_are_refused,
                uid_zero_is_refused,
                the_original_uid_is_the_first_uid_or_the_given_one,
                an_append_of_nothing_changes_nothing,
                counters_are_right_after_every_change,
                a_snapshot_ascends_by_uid,
                a_uid_is_never_given_again,
                an_expunge_passes_over_unknown_uids,
                an_expunge_of_deleted_ones_leaves_the_others,
                every_change_raises_the_modseq,
                changes_name_what_is_new_changed_and_gone,
                nothing_has_changed_since_the_highest_modseq,
                a_mailbox_and_its_neighbour_have_their_own_modseqs,
                a_too_large_summary_is_refused,
                equal_messages_are_two_messages,
                an_empty_message_is_kept,
                a_thousand_messages_go_in_at_once,
                appends_at_the_same_time_get_different_uids,
                usage_is_the_sum_over_all_mailboxes,
            }
            numbers {
                an_empty_mailbox_takes_over_validity_uids_and_modseqs,
                a_new_validity_begins_its_uids_anew,
                kept_numbers_only_rise,
                messages_without_a_uid_leave_room_for_those_that_bring_one,
                ids_of_pop_are_kept_with_their_messages,
                a_directory_keeps_no_numbers,
                kept_numbers_are_told,
            }
            flags {
                flags_are_added,
                flags_are_removed,
                flags_are_replaced,
                a_part_of_the_flags_is_replaced_in_one_change,
                a_change_that_changes_nothing_costs_no_modseq,
                unknown_uids_are_passed_over,
                a_message_changed_since_is_left_alone_and_reported,
                unchanged_since_lets_older_messages_change,
                keywords_are_compared_without_regard_to_case,
                keywords_are_kept_as_first_written,
                well_known_flags_and_keywords_do_not_disturb_each_other,
                changed_messages_are_reported_with_their_new_modseq,
                flags_of_many_messages_change_at_once,
                the_unseen_counter_follows_the_flags,
            }
            copies {
                a_copy_keeps_flags_dates_and_bytes,
                a_copy_has_its_own_flags,
                copies_come_in_the_order_asked_for,
                what_is_copied_or_moved_takes_only_the_flags_asked_for_along,
                a_copy_passes_over_unknown_uids,
                a_copy_may_go_into_its_own_mailbox,
                a_copy_outlives_its_original,
                a_copy_keeps_the_original_uid,
                a_copy_of_nothing_changes_nothing,
                a_copy_into_a_directory_is_refused,
                a_copy_into_an_unknown_mailbox_is_refused,
                a_moved_message_is_in_exactly_one_mailbox,
                a_move_passes_over_unknown_uids,
                a_move_is_seen_as_gone_in_the_source,
                a_moved_message_keeps_bytes_and_flags,
                a_move_into_its_own_mailbox_gives_new_uids,
                a_move_into_a_directory_changes_nothing,
                a_move_there_and_back_gives_no_old_uid,
            }
            directory {
                settings_never_set_are_empty_with_version_0,
                settings_are_replaced_and_their_version_grows_by_one,
                settings_of_an_old_version_are_refused,
                settings_keys_do_not_disturb_each_other,
                modules_with_settings_are_listed_sorted,
                a_domain_is_found_by_its_name_and_its_aliases,
                domains_are_listed_sorted_without_aliases,
                a_domain_name_is_unique_over_names_and_aliases,
                a_domain_update_replaces_everything_and_raises_the_version,
                a_domain_update_of_an_old_version_is_refused,
                a_domain_is_updated_under_its_own_name_only,
                a_renamed_domain_keeps_what_is_in_it,
                a_domain_is_not_renamed_onto_another,
                a_domain_with_accounts_is_removed_with_force_only,
                a_domain_removed_by_force_takes_its_accounts_along,
                an_unknown_domain_is_not_found,
                objects_are_listed_by_name_in_pages,
                forwarders_and_groups_are_listed_without_the_accounts,
                lists_are_objects_as_groups_are,
                objects_are_counted_by_kind_through_every_change,
                a_page_has_a_bounded_length,
                a_forwarder_and_a_group_are_kept,
                an_object_is_replaced_when_asked_only,
                an_object_is_renamed,
                an_object_is_not_renamed_onto_another,
                a_removed_object_is_gone,
                accounts_are_not_put_renamed_or_removed_as_objects,
                names_are_unique_over_all_kinds,
                equal_names_in_two_domains_are_two_objects,
            }
            accounts {
                an_account_keeps_its_record,
                an_account_comes_with_its_mailboxes_or_not_at_all,
                accounts_are_listed_by_id_in_pages,
                an_account_is_found_by_name_and_alias,
                an_account_alias_is_unique,
                an_account_needs_its_domain,
                an_account_update_replaces_its_record,
                an_account_update_of_an_old_version_is_refused,
                an_account_update_does_not_rename,
                aliases_follow_an_account_update,
                a_renamed_account_keeps_its_id_and_mail,
                aliases_follow_an_account_into_another_domain,
                an_account_is_not_renamed_onto_a_taken_name,
                an_account_whose_alias_is_taken_there_does_not_move,
                a_removed_account_is_gone_with_aliases_and_mail,
                an_account_id_is_never_given_again,
                an_unknown_account_has_no_record,
            }
            queue {
                queue_ids_grow,
                a_queued_message_keeps_everything,
                an_id_is_queued_once,
                a_message_without_recipients_is_refused,
                the_queue_is_listed_and_counted,
                due_work_is_leased_to_one_only,
                work_that_is_not_due_is_not_leased,
                the_oldest_due_is_leased_first,
                no_more_is_leased_than_asked_for,
                a_lease_ends,
                one_message_is_leased_by_its_id,
                a_held_message_is_not_leased_by_its_id,
                a_settled_message_leaves_the_queue,
                a_message_stays_until_every_recipient_is_settled,
                a_retry_falls_due_at_its_time_and_counts,
                a_rerouted_recipient_is_due_at_once,
                settling_ends_the_lease,
                what_is_settled_stays_settled,
                a_step_for_an_unknown_recipient_changes_nothing,
                settling_an_unknown_message_answers_not_found,
                the_next_due_time_is_the_earliest,
                a_leased_recipient_is_next_due_at_its_lease_end,
                leases_at_the_same_time_share_nothing,
            }
            queue_order {
                queues_take_turns,
                a_message_of_higher_priority_goes_first_in_its_queue,
                a_module_is_leased_alone,
                a_parked_queue_is_not_due_and_is_leased_by_its_name,
                a_queue_parked_until_a_time_is_open_again_then,
                a_hastened_queue_is_due_at_once_but_for_what_is_held,
                what_is_held_waits_until_it_is_let_go,
                a_retry_of_what_was_held_meanwhile_stays_held,
                a_message_is_claimed_whole_but_for_what_others_have,
                what_is_given_back_is_as_it_was,
                what_has_aged_untried_is_found,
                the_facts_of_a_queue_are_kept,
                queues_and_their_messages_are_listed_page_by_page,
                a_message_with_many_recipients_is_settled_in_any_batches,
            }
            bodies {
                a_staged_message_is_appended_with_its_bytes,
                a_large_staged_message_comes_back_whole,
                staging_in_pieces_gives_the_same_digest,
                a_dropped_writer_leaves_nothing,
                a_staged_body_may_be_used_more_than_once,
                a_part_of_a_body_is_read,
                a_part_past_the_end_is_shorter,
                heads_are_read_in_the_order_asked_for,
                bodies_are_read_in_the_order_asked_for,
                summaries_are_given_back,
                tops_are_read_in_the_order_asked_for,
                tops_stop_when_the_room_is_full_but_never_at_nothing,
                an_unknown_body_is_not_found,
                a_queued_body_can_be_appended_without_its_bytes,
                a_delivered_body_outlives_its_queue_entry,
                a_body_held_by_nothing_is_never_taken_for_another,
                an_existing_body_keeps_its_summary,
            }
            search {
                what_is_in_a_body_is_never_ruled_out,
                what_is_not_in_a_body_is_ruled_out_in_the_end,
                an_unknown_body_may_hold_anything,
                random_needles_are_ruled_out_only_where_they_are_not,
                words_are_found_in_any_form,
                a_better_match_is_more_relevant,
                a_fuzzy_text_is_looked_for_in_its_fields,
                every_word_of_a_fuzzy_text_must_be_found,
                only_the_bodies_asked_for_are_found,
                a_shared_body_is_found_in_each_account,
                new_bodies_are_found_at_once,
                hostile_bodies_are_looked_through_too,
                a_fuzzy_search_of_an_unknown_account_is_refused,
            }
            feed {
                an_append_is_told_before_it_answers,
                flags_are_told_with_the_mailbox_after_them,
                an_expunge_is_told_with_its_modseq,
                a_move_is_told_in_both_mailboxes,
                mailboxes_are_told_when_made_renamed_and_removed,
                accounts_and_domains_are_told,
                settings_are_told,
                a_queued_message_is_told_with_its_time,
                a_retry_is_told,
                a_refused_operation_is_not_told,
                changes_of_a_mailbox_are_told_in_the_order_of_their_modseqs,
            }
            idempotence {
                a_repeated_delivery_does_nothing,
                a_delivery_is_remembered,
                two_recipients_of_one_message_are_two_deliveries,
                a_delivery_into_another_mailbox_of_the_account_is_a_repeat,
                a_delivery_to_another_account_is_no_repeat,
                a_delivery_queues_its_message_once,
                a_message_that_is_refused_was_not_queued_by_its_delivery,
                a_repeat_among_new_messages_is_passed_over,
                a_delivery_twice_in_one_append_goes_in_once,
                a_delivery_is_remembered_after_the_message_is_gone,
                a_refused_delivery_is_not_remembered,
                deliveries_at_the_same_time_go_in_once,
            }
            faults {
                a_failed_append_changes_nothing_and_can_be_repeated,
                an_append_cut_off_and_repeated_goes_in_once,
                a_failed_move_leaves_every_message_in_exactly_one_mailbox,
                a_move_cut_off_leaves_every_message_in_exactly_one_mailbox,
                a_failed_enqueue_queues_nothing,
                an_enqueue_cut_off_and_repeated_is_queued_once,
                a_settle_cut_off_and_repeated_settles_once,
                a_failed_call_of_any_kind_changes_nothing,
            }
            model {
                random_operations_agree_with_the_memory_edition,
            }
        }
    };
}

/// One `#[test]` for each promise; the argument opens a fresh store:
/// `contract_suite!(|| async { memory::open() });`. It may answer a pair of the store and what
/// must live as long as it.
#[macro_export]
macro_rules! contract_suite {
    ($open:expr) => {
        $crate::every_promise!($crate::promise_tests, $open);
    };
}

/// Writes the tests of [`contract_suite!`](crate::contract_suite).
#[doc(hidden)]
#[macro_export]
macro_rules! promise_tests {
    ([$open:expr] $($family:ident { $($promise:ident,)* })*) => {
        $($crate::promise_tests!{ @family [$open] $family { $($promise,)* } })*
    };
    (@family [$open:expr] $family:ident { $($promise:ident,)* }) => {
        mod $family {
            #[allow(unused_imports, reason = "the way to open a store is written outside")]
            use super::*;
            $(
                #[test]
                fn $promise() {
                    $crate::suite::hold($open, $crate::suite::$family::$promise);
                }
            )*
        }
    };
}

/// One `#[test]` for each promise about closing and opening again; the argument makes a fresh
/// [`Edition`](crate::suite::Edition): `reopen_suite!(|| MyEdition::new());`.
#[macro_export]
macro_rules! reopen_suite {
    ($edition:expr) => {
        $crate::every_reopen_promise!($crate::reopen_tests, $edition);
    };
}

/// Calls the macro given with every promise about closing and opening again.
#[doc(hidden)]
#[macro_export]
macro_rules! every_reopen_promise {
    ($callback:path, $($argument:tt)*) => {
        $callback! { [$($argument)*]
            appended_messages_are_there_after_reopening,
            a_large_message_is_there_after_reopening,
            flags_are_there_after_reopening,
            moved_messages_are_in_one_mailbox_after_reopening,
            expunged_messages_stay_gone_after_reopening,
            changes_are_still_known_after_reopening,
            uids_go_on_after_reopening,
            ids_are_not_given_again_after_reopening,
            kept_numbers_are_there_after_reopening,
            mailboxes_are_there_after_reopening,
            files_are_there_after_reopening,
            a_validity_is_not_used_again_after_reopening,
            objects_are_there_after_reopening,
            removed_objects_stay_gone_after_reopening,
            settings_are_there_after_reopening,
            the_queue_is_there_after_reopening,
            queue_ids_grow_over_reopening,
            settled_recipients_stay_settled_after_reopening,
            what_is_held_is_held_after_reopening,
            many_messages_and_one_with_many_recipients_are_there_after_reopening,
            leases_end_with_reopening,
            deliveries_are_remembered_after_reopening,
            a_delivery_that_queued_a_message_is_remembered_after_reopening,
            a_body_shared_with_the_queue_is_there_after_reopening,
            many_reopenings_change_nothing,
            random_operations_survive_reopening,
        }
    };
}

/// Writes the tests of [`reopen_suite!`](crate::reopen_suite).
#[doc(hidden)]
#[macro_export]
macro_rules! reopen_tests {
    ([$edition:expr] $($promise:ident,)*) => {
        mod reopen {
            #[allow(unused_imports, reason = "the way to make an edition is written outside")]
            use super::*;
            $(
                #[test]
                fn $promise() {
                    let edition = ($edition)();
                    $crate::suite::run($crate::suite::reopen::$promise(&edition));
                }
            )*
        }
    };
}
