using Hull.Core;

namespace Hull.Cli.Completion;

/// <summary>
/// What a shell needs to ask <c>hull __complete</c> for candidates. The scripts know no command, so they fit every release
/// and every engine; without a candidate the shell completes file names.
/// </summary>
internal static class CompletionScripts
{
    private const string Bash = """
        # hull completion bash > /etc/bash_completion.d/hull
        _hull() {
            local IFS=$'\n' line words=("${COMP_WORDS[@]:1:COMP_CWORD}")
            local current=${COMP_WORDS[COMP_CWORD]}
            # bash takes colons for ends of words: those of images and of CONTAINER:PATH are put back.
            if declare -F _get_comp_words_by_ref > /dev/null; then
                local cur cword all
                _get_comp_words_by_ref -n : -c cur -i cword -w all
                words=("${all[@]:1:cword}") current=$cur
            fi
            COMPREPLY=()
            while IFS= read -r line; do COMPREPLY+=("${line%%$'\t'*}"); done < <(hull __complete -- "${words[@]}" 2> /dev/null)
            case ${COMPREPLY[0]-} in *:|*=) compopt -o nospace ;; esac
            if declare -F __ltrim_colon_completions > /dev/null; then __ltrim_colon_completions "$current"; fi
        }
        complete -o default -F _hull hull
        """;

    private const string Zsh = """
        #compdef hull
        # hull completion zsh > "${fpath[1]}/_hull"
        _hull() {
            local -a found
            local line value
            while IFS= read -r line; do
                value=${line%%$'\t'*}
                value=${value//:/\\:}
                if [[ $line == *$'\t'* ]]; then found+=("$value:${line#*$'\t'}"); else found+=("$value"); fi
            done < <(hull __complete -- "${(@)words[2,CURRENT]}" 2> /dev/null)
            if (( ${#found} )); then
                _describe hull found
            else
                _files
            fi
        }
        if [ "$funcstack[1]" = _hull ]; then _hull "$@"; else compdef _hull hull; fi
        """;

    private const string Fish = """
        # hull completion fish > ~/.config/fish/completions/hull.fish
        function __hull_complete
            set -l words (commandline --tokenize --cut-at-cursor --current-process) (commandline --cut-at-cursor --current-token)
            hull __complete -- $words[2..-1] 2> /dev/null
        end
        function __hull_has_candidates
            test (count (__hull_complete)) -gt 0
        end
        complete --command hull --condition __hull_has_candidates --no-files --arguments '(__hull_complete)'
        """;

    /// <summary>Throws <see cref="ErrorKind.InvalidArgument"/> for a shell that nobody knows.</summary>
    public static string For(string shell) => shell switch
    {
        "bash" => Bash,
        "zsh" => Zsh,
        "fish" => Fish,
        _ => throw HullException.Invalid($"unknown shell '{shell}': expected bash, zsh or fish"),
    };
}
