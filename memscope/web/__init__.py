"""What a web service retains, by route: one engine, which thin adapters of the frameworks feed.

    memscope.wsgi, memscope.asgi, memscope.django, memscope.flask     the adapters

    engine          one for a middleware: joins all of what follows
    settings        what it is asked to do, checked
    routes          the routes that were seen, and which code answers them
    recorder        requests in flight -> what each left behind
    trend           whether a route keeps growing
    investigation   a Watch over some rounds of requests: the leak report, by route
    timeline        the process and its classes over the last minutes
    shelf           snapshots of allocations that were taken

    http            a request to our own pages, and the answer
    access          who may see them
    jobs, handles   one expensive thing at a time; names for objects that cannot be guessed
    dashboard       from a request to an answer
    views           each page as plain data, which is its .json
    pages, markup   the data as HTML; everything in it is escaped

No framework is imported here, and the adapters are imported by nobody but the application.
"""
