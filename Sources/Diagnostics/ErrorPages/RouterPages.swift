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
    ]
}
