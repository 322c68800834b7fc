/* `hourbell mock-sap`: a stand-in for SAP on HTTP, until it is told to stop. User and password come from the environment,
 * as everywhere never from arguments. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapters/clock_system.h"
#include "home/cmd.h"
#include "home/mock_server.h"
#include "home/mock_state.h"

#define DEFAULT_BIND "127.0.0.1:8181"

struct mocking {
    struct clock_system clock;
    struct world world;
    struct settings settings;
    struct sap_mock *sap;
    struct mock_server *server;
    uv_loop_t loop;
    uv_signal_t signals[2];
    int log_fd;
};

static void on_signal(uv_signal_t *signal, int number)
{
    struct mocking *mocking = signal->data;
    (void)number;
    mock_server_close(mocking->server);
    for (size_t i = 0; i < COUNT_OF(mocking->signals); i++) {
        uv_close((uv_handle_t *)&mocking->signals[i], NULL);
    }
}

static void watch_signals(struct mocking *mocking)
{
    static const int numbers[] = {SIGTERM, SIGINT};
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        uv_signal_init(&mocking->loop, &mocking->signals[i]);
        mocking->signals[i].data = mocking;
        uv_signal_start(&mocking->signals[i], on_signal, numbers[i]);
    }
}

static struct sap_mock *open_sap(const struct args *args, struct clock *clock)
{
    static char seed[33];
    unsigned char random[16];
    clock_random(clock, random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        (void)snprintf(seed + 2 * i, 3, "%02x", random[i]);
    }
    struct sap_mock_options options = {.user = str_of(getenv("HOURBELL_MOCK_USER")),
                                       .password = str_of(getenv("HOURBELL_MOCK_PASSWORD")),
                                       .bearer = str_of(getenv("HOURBELL_MOCK_BEARER")),
                                       .seed = str_of(seed),
                                       .control = args_has(args, "control")};
    struct sap_mock *sap = sap_mock_open(&options);
    sap_mock_switch(sap, SAP_MOCK_delay_ms, args_span_ms(args, "delay", 0));
    return sap;
}

static int fail(const struct args *args, const struct call *call, enum rc rc)
{
    enum exit_code code = rc == RC_CONFLICT  ? EXIT_CONFLICT
                          : rc == RC_INVALID ? EXIT_INVALID
                                             : EXIT_FAILED;
    return command_fail(args, code, "%s", call->why);
}

static int serve(const struct args *args, struct mocking *mocking, struct call *call)
{
    const char *state = args_text(args, "state", NULL);
    struct mock_server_options options = {.world = &mocking->world,
                                          .sap = mocking->sap,
                                          .log_fd = mocking->log_fd,
                                          .bind = str_of(args_text(args, "bind", DEFAULT_BIND))};
    enum rc rc = state ? mock_state_load(call, mocking->sap, state) : RC_OK;
    if (rc != RC_OK) {
        return fail(args, call, rc);
    }
    uv_loop_init(&mocking->loop);
    rc = mock_server_open(&mocking->loop, call, &options, &mocking->server);
    if (rc != RC_OK) {
        uv_loop_close(&mocking->loop);
        return fail(args, call, rc);
    }
    watch_signals(mocking);
    command_note(args, "http://127.0.0.1:%d" SAP_MOCK_ROOT, mock_server_port(mocking->server));
    uv_run(&mocking->loop, UV_RUN_DEFAULT);
    mock_server_free(mocking->server);
    uv_loop_close(&mocking->loop);
    rc = state ? mock_state_save(call, mocking->sap, state) : RC_OK;
    return rc == RC_OK ? EXIT_DONE : fail(args, call, rc);
}

int cmd_mock_sap(const struct args *args)
{
    struct mocking *mocking = calloc(1, sizeof *mocking);
    struct call call;
    const char *log = args_text(args, "log", NULL);
    if (!mocking) {
        abort();
    }
    clock_system_open(&mocking->clock);
    settings_default(&mocking->settings);
    mocking->world = (struct world){.clock = &mocking->clock.clock, .settings = &mocking->settings};
    call_open(&call, args->arena, &mocking->world);
    mocking->log_fd = log ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (log && mocking->log_fd < 0) {
        free(mocking);
        return command_fail(args, EXIT_FAILED, "%s: %s", log, strerrordesc_np(errno));
    }
    mocking->sap = open_sap(args, &mocking->clock.clock);
    int code = serve(args, mocking, &call);
    sap_mock_close(mocking->sap);
    if (mocking->log_fd >= 0) {
        (void)close(mocking->log_fd);
    }
    free(mocking);
    return code;
}
