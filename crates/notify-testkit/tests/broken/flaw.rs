//! What a broken provider does wrong, and which case has to find it.

use std::cell::Cell;

macro_rules! flaws {
    ($($(#[doc = $doc:literal])+ $flaw:ident => $case:ident,)+) => {
        /// What a broken provider does wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Flaw {
            $($(#[doc = $doc])+ $flaw,)+
        }

        impl Flaw {
            /// Every flaw, with the case that finds it.
            pub(crate) const ALL: &[(Self, &str)] = &[$((Self::$flaw, stringify!($case))),+];
        }
    };
}

flaws! {
    /// Calls its kind like a key of every notification.
    Kind => kind_is_a_name_that_files_hold,
    /// Is never registered.
    Unregistered => kind_is_discovered,
    /// Ends its summary like a sentence.
    Summary => summary_is_one_line,
    /// Shows an example of a recipient that it does not take.
    Example => example_of_a_recipient_loads,
    /// Refuses a priority that its schema takes.
    Notification => notification_loads,
    /// Writes a recipient with a prefix that it reads as a part of it.
    Recipient => recipient_reads_back,
    /// Takes a recipient without a letter.
    EmptyRecipient => empty_recipient_is_refused,
    /// Writes a priority one higher than it is.
    Options => options_read_back,
    /// Forgets the priority when it writes options.
    ForgetsOption => options_are_written_back,
    /// Has an option that is named like a key of every notification.
    TakenOption => option_keys_are_free,
    /// Overlooks options that it does not know.
    LaxOptions => unknown_option_is_refused,
    /// Describes a priority that is lower than what it takes.
    OptionsSchema => options_schema_takes_the_notification,
    /// Has dropped the old name of an option.
    OlderOptions => older_options_load,
    /// Wants more of a section than there is.
    Section => section_loads,
    /// Describes the server as an address of another scheme.
    SectionSchema => section_schema_takes_the_section,
    /// Overlooks settings that it does not know.
    LaxSection => unknown_setting_is_refused,
    /// Stops at the first mistake.
    FirstMistake => all_mistakes_are_reported_at_once,
    /// Quotes what stands where a reference belongs.
    QuotesSecret => inline_secret_is_refused_and_not_repeated,
    /// Names a secret that it does not need.
    NamesSecret => secrets_are_named,
    /// Reaches nobody.
    Unreachable => recipient_is_reached,
    /// Gives a new lane to every question.
    Target => target_is_stable,
    /// Breaks the line in a lane.
    Lane => lane_can_be_shown,
    /// Wants to be waited for, for an hour.
    Deadline => deadline_is_bounded,
    /// Sends once in two hours.
    Rate => rate_is_bounded,
    /// Closes what belongs to nothing.
    NoConversation => what_can_be_closed_is_a_conversation,
    /// Closes by another key than it opens.
    CloseKey => close_names_what_was_opened,
    /// Relies on a fact of the receipt that went before.
    TrustsReceipt => odd_receipt_harms_nothing,
    /// Counts its calls in the payload.
    CountsPayloads => payload_is_the_same_on_every_call,
    /// Names no media type.
    ContentType => payload_is_what_it_says,
    /// Spells words anew.
    Headline => payload_holds_the_headline,
    /// Sends nothing where nothing is said.
    EmptyMessage => empty_message_is_lowered,
    /// Sends a title without a letter where there is no headline.
    NoFallback => empty_message_is_lowered,
    /// Sends the headline and nothing else.
    DropsText => text_below_the_limits_is_whole,
    /// Cuts after forty letters.
    CutsTooMuch => text_below_the_limits_is_whole,
    /// Appends a mark where nothing was cut.
    OffByOne => text_at_a_limit_fits,
    /// Cuts nothing that is far too long.
    CutsNothing => text_above_a_limit_is_cut,
    /// Pastes the headline into JSON.
    PastesJson => hostile_text_stays_text,
    /// Leaves mentions as they are.
    Mentions => live_text_is_inert,
    /// Takes no token.
    Connect => good_secrets_connect,
    /// Tries the address when it connects.
    ConnectsEarly => connect_opens_no_connection,
    /// Goes on without a token.
    NoToken => missing_secret_is_said,
    /// Quotes a malformed token.
    QuotesToken => malformed_secret_is_not_repeated,
    /// Shows its token.
    DebugToken => debug_shows_no_secret,
    /// Takes a success for something odd.
    Success => success_is_delivered,
    /// Names nothing in its receipt.
    Receipt => receipt_can_be_stored,
    /// Sends everything to one topic.
    OneTopic => delivery_goes_to_its_recipient,
    /// Sends a batch to the topic of its first delivery.
    TopicOfFirst => delivery_goes_to_its_recipient,
    /// Sends the first of a batch and forgets the others.
    FirstOfBatch => batch_has_an_outcome_for_each,
    /// Gives the outcomes of a batch from the last to the first.
    BatchOrder => outcomes_match_their_deliveries,
    /// Sends a greeting where there is nothing to send.
    EmptyBatch => empty_batch_sends_nothing,
    /// Tries again by itself.
    Repeats => one_call_is_one_attempt,
    /// Writes the headline into a header.
    Header => hostile_text_adds_no_line,
    /// Says that it found what it never looked for.
    Reconciles => reconcile_is_announced,
    /// Takes an unknown topic for bad credentials.
    Table => documented_answers_have_their_outcomes,
    /// Reads no number of seconds.
    WaitSeconds => wait_in_seconds_is_kept,
    /// Reads no date.
    WaitDate => wait_until_a_date_is_kept,
    /// Waits as long as it is told.
    WaitForever => absurd_wait_is_bounded,
    /// Takes an error page for a refusal.
    ErrorPage => error_page_is_temporary,
    /// Takes a login page for a success.
    LoginPage => login_page_is_no_success,
    /// Goes where it is sent.
    Redirect => redirect_is_not_followed,
    /// Takes garbage for a refusal.
    Garbage => garbage_is_unknown,
    /// Takes half an answer for a whole one.
    HalfAnswer => broken_answer_is_unknown,
    /// Reads whatever comes.
    ReadsAll => endless_answer_is_not_read_out,
    /// Keeps every word of a refusal.
    Detail => detail_is_one_bounded_line,
    /// Takes a refused connection for a lost answer.
    Refused => refused_connection_is_not_delivered,
    /// Has no limit for a connection.
    Unopened => unopened_connection_is_not_delivered,
    /// Takes silence for a connection that never opened.
    Silence => silence_is_unknown,
    /// Waits for an answer as long as it takes.
    Waits => silence_ends_before_the_deadline,
    /// Takes a reset for a connection that never opened.
    Reset => reset_is_unknown,
    /// Takes a stalled answer for a refusal.
    Stall => stalled_answer_is_unknown,
    /// Limits each read and not the whole.
    Drip => dripping_answer_ends_before_the_deadline,
    /// Sends in a task of its own.
    Spawns => dropped_attempt_leaves_nothing_running,
    /// Stays busy when it is dropped.
    Busy => transport_outlives_a_dropped_attempt,
    /// Asks for the time with a lock in its hand.
    Poisoned => transport_outlives_a_panic,
    /// Names each attempt anew.
    AidPerAttempt => idempotency_aid_is_stable,
    /// Names all deliveries alike.
    OneAid => idempotency_aid_differs,
    /// Repeats what the vendor says.
    Echo => echoed_secret_is_masked,
    /// Logs its token.
    Logs => log_shows_no_secret,
}

thread_local! {
    static FLAW: Cell<Option<Flaw>> = const { Cell::new(None) };
}

/// Runs with a flaw; cases run on the thread of their caller.
pub(crate) fn with<T>(flaw: Option<Flaw>, run: impl FnOnce() -> T) -> T {
    FLAW.set(flaw);
    let came = run();
    FLAW.set(None);
    came
}

/// Tells whether the provider has this flaw now.
pub(crate) fn has(flaw: Flaw) -> bool {
    FLAW.get() == Some(flaw)
}
