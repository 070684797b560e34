"""What a web service retains, by route: one engine, which thin adapters of the frameworks feed.

    memscope.wsgi, memscope.asgi, memscope.django, memscope.flask     the adapters

    engine          one for a middleware: joins all of what follows
    settings        what it is asked to do, checked
    recorder        requests in flight -> what each left behind
    routes, trend   the routes that were seen, and which code answers them; do they seem to grow?
    suspicions      do they in truth?  births: what was allocated by their own requests
    investigation   a Watch over some rounds of requests: the leak report, by route
    timeline, shelf the process and its classes over the last minutes; snapshots that were taken

    http            a request to our own pages, and the answer
    access          who may see them: origin (from where), attempts (wrong tokens)
    dashboard       from a request to an answer
    handles, jobs   names for things that cannot be guessed; one expensive thing at a time
    redaction       a second look at all that leaves

    views           which pages and actions there are; view_*: the data of each, its .json
    asked, kept     what a page was asked for; results that were expensive
    pages           the data as HTML: page_*, of page_parts, context, drawings, assets
    markup          the one place that makes elements; everything in them is escaped

No framework is imported here, and the adapters are imported by nobody but the application.
"""
