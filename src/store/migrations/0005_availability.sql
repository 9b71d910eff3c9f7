-- How an application was for those who opened it, hour by hour: one row for each gateway that served it.
CREATE TABLE availability (
    -- Hours since 1970.
    hour BIGINT NOT NULL,
    application TEXT NOT NULL,
    site TEXT NOT NULL,
    gateway TEXT NOT NULL,
    -- Attach attempts that gave a usable screen within the target time, later, and never.
    in_time BIGINT NOT NULL,
    late BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    -- Minutes in which somebody used it, and those of them in which something was wrong.
    minutes BIGINT NOT NULL,
    minutes_degraded BIGINT NOT NULL,
    -- The targets by which that was judged, in milliseconds.
    screen_target BIGINT NOT NULL,
    tap_target BIGINT NOT NULL,
    -- HDR histograms in microseconds, V2, in base64: to the first screen, and from a tap to its screen.
    screens TEXT NOT NULL,
    taps TEXT NOT NULL,
    PRIMARY KEY (hour, application, site, gateway)
);
