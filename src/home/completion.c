/* Completions for bash, zsh and fish, printed from the table of sub-commands: names of commands, options and
 * the words of a choice; files and folders where an option takes one. Nothing asks the server. */
#include "home/manual.h"

/* The n-th word (0 or 1) of a command's name; length 0 = it has none. */
static struct str name_word(const struct command *command, int n)
{
    const char *blank = strchr(command->name, ' ');
    if (n == 0) {
        return (struct str){command->name,
                            blank ? (size_t)(blank - command->name) : strlen(command->name)};
    }
    return blank ? str_of(blank + 1) : STR_NONE;
}

/* Is this row the first with its first word? */
static bool starts_group(const struct command_table *table, const struct command *command)
{
    return command == table->commands ||
           !str_equal(name_word(command, 0), name_word(command - 1, 0));
}

static void words_of(FILE *out, const struct option *options)
{
    for (; options && options->type != OPTION_END; options++) {
        fprintf(out, " --%s", options->name);
    }
}

/* The options of a command whose values are of one kind, as a pattern of bash's case: --conf|--state. */
static bool bash_pattern(FILE *out, const struct command_table *table, enum option_type type,
                         bool print)
{
    bool any = false;
    const char *said[64];
    size_t said_count = 0;
    const struct option *lists[64] = {table->client_options, command_common_options};
    size_t count = 2;
    for (const struct command *command = table->commands; command->name && count < COUNT_OF(lists);
         command++) {
        if (command->options) {
            lists[count++] = command->options;
        }
    }
    for (size_t i = 0; i < count; i++) {
        for (const struct option *option = lists[i]; option->type != OPTION_END; option++) {
            bool again = false;
            for (size_t j = 0; j < said_count; j++) {
                again = again || strcmp(said[j], option->name) == 0;
            }
            if (option->type != type || again || said_count == COUNT_OF(said)) {
                continue;
            }
            said[said_count++] = option->name;
            if (print) {
                fprintf(out, "%s--%s", any ? "|" : "", option->name);
            }
            any = true;
        }
    }
    return any;
}

static bool takes_path(const struct command *command)
{
    bool path = false;
    for (int i = 0; i < OPERANDS_MAX && command->operands[i].name; i++) {
        path = path || command->operands[i].is_path;
    }
    return path;
}

static void bash_choices(FILE *out, const struct command *command)
{
    for (const struct option *option = command->options; option && option->type != OPTION_END;
         option++) {
        if (option->type == OPTION_CHOICE) {
            fprintf(out, "    \"%s --%s\") COMPREPLY=($(compgen -W \"", command->name,
                    option->name);
            for (const char *at = option->value; *at; at++) {
                fputc(*at == '|' ? ' ' : *at, out);
            }
            fputs("\" -- \"$current\")); return ;;\n", out);
        }
    }
}

/* The options that may stand before the command, apart by `between`: all, or with their letters those that take a value. */
static void leading_options(FILE *out, const struct command_table *table, bool values,
                            const char *between)
{
    const struct option *lists[] = {table->client_options, command_common_options};
    const char *gap = "";
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        for (const struct option *option = lists[i]; option->type != OPTION_END; option++) {
            if (values && option->type == OPTION_FLAG) {
                continue;
            }
            fprintf(out, "%s--%s", gap, option->name);
            gap = between;
            if (values && option->letter) {
                fprintf(out, "%s-%c", between, option->letter);
            }
        }
    }
}

static void completion_bash(const struct command_table *table, FILE *out)
{
    fputs("# bash completion of hourbell; made by: hourbell help --completion bash\n_hourbell() {\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "    local at=$COMP_CWORD skip\n    local -a words=(\"${COMP_WORDS[@]}\")\n"
          "    while [[ $at -gt 1 && ${words[1]} == -* ]]; do # options before the command\n"
          "        skip=1\n        case ${words[1]} in ",
          out);
    leading_options(out, table, true, "|");
    fputs(") skip=2 ;; esac\n        [ \"$at\" -gt \"$skip\" ] || break\n"
          "        words=(\"${words[0]}\" \"${words[@]:1 + skip}\")\n        at=$((at - skip))\n   "
          " done\n"
          "    local command=${words[1]:-}\n    COMPREPLY=()\n"
          "    if [[ $at = 1 && $current == -* ]]; then\n        COMPREPLY=($(compgen -W \"",
          out);
    leading_options(out, table, false, " ");
    fputs(" --version\" -- \"$current\"))\n        return\n"
          "    elif [ \"$at\" = 1 ]; then\n        COMPREPLY=($(compgen -W \"help",
          out);
    for (const struct command *command = table->commands; command->name; command++) {
        if (starts_group(table, command)) {
            fprintf(out, " " STR_FMT, STR_ARG(name_word(command, 0)));
        }
    }
    fputs("\" -- \"$current\"))\n        return\n    fi\n    case $command in\n", out);
    for (const struct command *command = table->commands; command->name; command++) {
        struct str group = name_word(command, 0);
        if (!starts_group(table, command) || name_word(command, 1).len == 0) {
            continue;
        }
        fprintf(out,
                "    " STR_FMT
                ")\n        if [ \"$at\" = 2 ]; then\n            COMPREPLY=($(compgen -W \"",
                STR_ARG(group));
        for (const struct command *member = command;
             member->name && str_equal(name_word(member, 0), group); member++) {
            fprintf(out, STR_FMT " ", STR_ARG(name_word(member, 1)));
        }
        fputs("\" -- \"$current\"))\n            return\n        fi\n        command=\"$command "
              "${words[2]}\" ;;\n",
              out);
    }
    fputs("    help)\n        if [ \"$before\" = --completion ]; then\n"
          "            COMPREPLY=($(compgen -W \"bash zsh fish\" -- \"$current\"))\n"
          "            return\n        fi\n"
          "        COMPREPLY=($(compgen -W \"--man --completion",
          out);
    for (const struct command *command = table->commands; command->name; command++) {
        if (starts_group(table, command)) {
            fprintf(out, " " STR_FMT, STR_ARG(name_word(command, 0)));
        }
    }
    fputs("\" -- \"$current\")); return ;;\n    esac\n    case \"$command $before\" in\n", out);
    for (const struct command *command = table->commands; command->name; command++) {
        bash_choices(out, command);
    }
    fputs("    esac\n    case $before in\n    ", out);
    bash_pattern(out, table, OPTION_FILE, true);
    fputs(") compopt -o filenames 2> /dev/null; COMPREPLY=($(compgen -f -- \"$current\")); return "
          ";;\n",
          out);
    if (bash_pattern(out, table, OPTION_FOLDER, false)) {
        fputs("    ", out);
        bash_pattern(out, table, OPTION_FOLDER, true);
        fputs(") compopt -o filenames 2> /dev/null; COMPREPLY=($(compgen -d -- \"$current\")); "
              "return ;;\n",
              out);
    }
    fputs("    esac\n    if [[ $current != -* ]]; then\n        case $command in\n        ", out);
    for (const struct command *command = table->commands; command->name; command++) {
        if (takes_path(command)) {
            fprintf(out, "\"%s\"|", command->name);
        }
    }
    fputs("-)\n            compopt -o filenames 2> /dev/null\n"
          "            COMPREPLY=($(compgen -f -- \"$current\")) ;;\n        esac\n        "
          "return\n    fi\n"
          "    case $command in\n",
          out);
    for (const struct command *command = table->commands; command->name; command++) {
        fprintf(out, "    \"%s\") COMPREPLY=($(compgen -W \"", command->name);
        words_of(out, command->options);
        words_of(out, command->is_client ? table->client_options : NULL);
        words_of(out, command_common_options);
        fputs("\" -- \"$current\")) ;;\n", out);
    }
    fputs("    esac\n}\ncomplete -F _hourbell hourbell\n", out);
}

/* A text inside '...' of a shell and inside zsh's [..] or fish's -d. */
static void shell_quoted(FILE *out, const char *text, const char *escape)
{
    for (; *text; text++) {
        if (*text == '\'') {
            fputs("'\\''", out);
        } else {
            fprintf(out, "%s%c", strchr(escape, *text) ? "\\" : "", *text);
        }
    }
}

static void zsh_options(FILE *out, const struct option *options)
{
    for (; options && options->type != OPTION_END; options++) {
        fprintf(out, " \\\n            '%s--%s%s[", options->repeats ? "*" : "", options->name,
                options->type == OPTION_FLAG ? "" : "=");
        shell_quoted(out, options->help, "[]:\\");
        fputs("]", out);
        if (options->type == OPTION_CHOICE) {
            fputs(":value:(", out);
            for (const char *at = options->value; *at; at++) {
                fputc(*at == '|' ? ' ' : *at, out);
            }
            fputc(')', out);
        } else if (options->type != OPTION_FLAG) {
            fprintf(out, ":value:%s",
                    options->type == OPTION_FILE     ? "_files"
                    : options->type == OPTION_FOLDER ? "_files -/"
                                                     : "");
        }
        fputc('\'', out);
    }
}

static void completion_zsh(const struct command_table *table, FILE *out)
{
    fputs("#compdef hourbell\n# zsh completion of hourbell; made by: hourbell help --completion "
          "zsh\n_hourbell() {\n"
          "    local -a commands\n    commands=(\n        'help:explain a command'\n",
          out);
    for (const struct command *command = table->commands; command->name; command++) {
        if (starts_group(table, command)) {
            fprintf(out, "        '" STR_FMT ":", STR_ARG(name_word(command, 0)));
            shell_quoted(out, command->help, ":\\");
            fputs("'\n", out);
        }
    }
    fputs("    )\n    local skip\n"
          "    while (( CURRENT > 2 )) && [[ $words[2] == -* ]]; do # options before the command\n"
          "        skip=1\n        case $words[2] in ",
          out);
    leading_options(out, table, true, "|");
    fputs(") skip=2 ;; esac\n        (( CURRENT - skip > 1 )) || break\n"
          "        words=(\"$words[1]\" \"${(@)words[2 + skip,-1]}\")\n        (( CURRENT -= skip "
          "))\n"
          "    done\n"
          "    if (( CURRENT == 2 )) && [[ $words[2] == -* ]]; then\n        compadd -- ",
          out);
    leading_options(out, table, false, " ");
    fputs(" --version\n        return\n"
          "    elif (( CURRENT == 2 )); then\n        _describe command commands\n        "
          "return\n    fi\n"
          "    local command=$words[2]\n    case $command in\n        ",
          out);
    leading_options(out, table, true, "|");
    fputs(") _files; return ;;\n    esac\n    case $command in\n", out);
    for (const struct command *command = table->commands; command->name; command++) {
        struct str group = name_word(command, 0);
        if (!starts_group(table, command) || name_word(command, 1).len == 0) {
            continue;
        }
        fprintf(out, "    " STR_FMT ")\n        if (( CURRENT == 3 )); then\n            compadd",
                STR_ARG(group));
        for (const struct command *member = command;
             member->name && str_equal(name_word(member, 0), group); member++) {
            fprintf(out, " " STR_FMT, STR_ARG(name_word(member, 1)));
        }
        fputs("\n            return\n        fi\n        command=\"$command $words[3]\" ;;\n", out);
    }
    fputs(
        "    help)\n        if [[ $words[CURRENT-1] == --completion ]]; then\n"
        "            compadd bash zsh fish\n        else\n            _describe command commands\n"
        "            compadd -- --man --completion\n        fi\n        return ;;\n    esac\n    "
        "case "
        "$command in\n",
        out);
    for (const struct command *command = table->commands; command->name; command++) {
        fprintf(out, "    '%s')\n        _arguments", command->name);
        zsh_options(out, command->options);
        zsh_options(out, command->is_client ? table->client_options : NULL);
        zsh_options(out, command_common_options);
        fputs(takes_path(command) ? " \\\n            '*:file:_files' ;;\n"
                                  : " \\\n            '*: :' ;;\n",
              out);
    }
    fputs("    esac\n}\nif [ \"$funcstack[1]\" = _hourbell ]; then\n    _hourbell \"$@\"\nelse\n   "
          " compdef _hourbell hourbell\nfi\n",
          out);
}

/* command NULL: before the command. */
static void fish_options(FILE *out, const struct command *command, const struct option *options)
{
    for (; options && options->type != OPTION_END; options++) {
        if (!command) {
            fputs("complete -c hourbell -n '__hourbell_needs_command", out);
        } else {
            fprintf(out, "complete -c hourbell -n '__fish_seen_subcommand_from " STR_FMT,
                    STR_ARG(name_word(command, 0)));
        }
        if (command && name_word(command, 1).len) {
            fprintf(out, "; and __fish_seen_subcommand_from " STR_FMT,
                    STR_ARG(name_word(command, 1)));
        }
        fprintf(out, "' -l %s", options->name);
        if (options->letter) {
            fprintf(out, " -s %c", options->letter);
        }
        if (options->type == OPTION_CHOICE) {
            fputs(" -x -a '", out);
            for (const char *at = options->value; *at; at++) {
                fputc(*at == '|' ? ' ' : *at, out);
            }
            fputc('\'', out);
        } else if (options->type != OPTION_FLAG) {
            fputs(options->type == OPTION_FILE || options->type == OPTION_FOLDER ? " -r -F" : " -x",
                  out);
        }
        fputs(" -d '", out);
        shell_quoted(out, options->help, "\\");
        fputs("'\n", out);
    }
}

static void completion_fish(const struct command_table *table, FILE *out)
{
    fputs("# fish completion of hourbell; made by: hourbell help --completion fish\n"
          "function __hourbell_needs_command # options may stand before the command\n"
          "    set -l words (commandline -opc)\n    set -e words[1]\n    while set -q words[1]\n"
          "        switch $words[1]\n            case ",
          out);
    leading_options(out, table, true, " ");
    fputs("\n                set -e words[1]\n            case '-*'\n            case '*'\n"
          "                return 1\n        end\n        set -e words[1]\n    end\n    return "
          "0\nend\n"
          "complete -c hourbell -n __hourbell_needs_command -f -a help -d 'explain a command'\n"
          "complete -c hourbell -n __hourbell_needs_command -l version -d 'print the version'\n"
          "complete -c hourbell -n '__fish_seen_subcommand_from help' -f -l man -d 'print the man "
          "page'\n"
          "complete -c hourbell -n '__fish_seen_subcommand_from help' -x -l completion -a 'bash "
          "zsh fish' "
          "-d 'print completions'\n",
          out);
    fish_options(out, NULL, table->client_options);
    fish_options(out, NULL, command_common_options);
    for (const struct command *command = table->commands; command->name; command++) {
        if (starts_group(table, command)) {
            fprintf(out,
                    "complete -c hourbell -n '__hourbell_needs_command; or "
                    "__fish_seen_subcommand_from help' -f -a " STR_FMT " -d '",
                    STR_ARG(name_word(command, 0)));
            shell_quoted(out, command->help, "\\");
            fputs("'\n", out);
        }
        if (name_word(command, 1).len) {
            fprintf(out,
                    "complete -c hourbell -n '__fish_seen_subcommand_from " STR_FMT
                    "' -f -a " STR_FMT " -d '",
                    STR_ARG(name_word(command, 0)), STR_ARG(name_word(command, 1)));
            shell_quoted(out, command->help, "\\");
            fputs("'\n", out);
        }
        if (!takes_path(command)) {
            fprintf(out, "complete -c hourbell -n '__fish_seen_subcommand_from " STR_FMT "' -f\n",
                    STR_ARG(name_word(command, 0)));
        }
        fish_options(out, command, command->options);
        fish_options(out, command, command->is_client ? table->client_options : NULL);
        fish_options(out, command, command_common_options);
    }
}

enum rc manual_completion(const struct command_table *table, struct str shell, FILE *out)
{
    static const struct {
        const char *shell;
        void (*print)(const struct command_table *, FILE *);
    } completions[] = {
        {"bash", completion_bash}, {"zsh", completion_zsh}, {"fish", completion_fish}};
    for (size_t i = 0; i < COUNT_OF(completions); i++) {
        if (str_is(shell, completions[i].shell)) {
            completions[i].print(table, out);
            return RC_OK;
        }
    }
    return RC_INVALID;
}
