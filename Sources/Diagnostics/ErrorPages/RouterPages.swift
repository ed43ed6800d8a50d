// Pages of the area `router`.

extension ErrorPage {
    static let routerPages: [ErrorPage] = [
        .error(
            .routerBadFile,
            cause: "The folder holds no router of this program, or one whose content is not what its id says.",
            example: "router.json: the router's content is not what its id says",
            remedy: "Restore both files from where they came, or train the router again."),
        .error(
            .routerExpertChanged,
            cause: "A router belongs to the very adapters that it was trained over; one of them is another one now.",
            example: "expert 'banking@1' is not the adapter that the router was trained over",
            remedy: "Restore that version of the adapter, or train the router again over the new one."),
        .error(
            .routerBaseMismatch, cause: "The router was trained on a backbone with other weights.",
            example: "the router was trained on other backbone weights",
            remedy: "Name the backbone of the training in the suite, or train the router again."),
        .error(
            .routerBadTrace,
            cause: "A trace is no trace of this program, or its lines are not those that were sealed.",
            example: "trace.jsonl: digest: the lines are not those of the digest",
            remedy: "Do not trust the file: write the trace again with `lorabank router trace`."),
        .error(
            .routerReplayDiffers,
            cause: "Made again, the trace is another one: router, experts, data or numbers differ.",
            example: "3 of 2401 records differ, the first in line 17",
            remedy: "Look at that line in both; a trace of another router or data set cannot be replayed with this one."
        ),
    ]
}
