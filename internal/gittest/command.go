package gittest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// CommandError is a git command that ended with a status other than zero.
type CommandError struct {
	Args     []string // what followed "git"
	ExitCode int
	Stdout   string
	Stderr   string
}

// Error names the command, its exit status and what it wrote on standard error.
func (e *CommandError) Error() string {
	return fmt.Sprintf("git %s: exit status %d: %s",
		strings.Join(e.Args, " "), e.ExitCode, strings.TrimSpace(e.Stderr))
}

// isolatedEnv is the whole environment of a git process: nothing of the user's configuration, no prompts,
// English messages.
func isolatedEnv(home string, extra ...string) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + home,
		"XDG_CONFIG_HOME=" + filepath.Join(home, ".config"),
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_TERMINAL_PROMPT=0",
		"LC_ALL=C",
		"TZ=UTC",
		"TMPDIR=" + os.TempDir(),
	}
	return append(env, extra...)
}

// gitCommand prepares a git process that dies with ctx, with everything that it started.
func gitCommand(ctx context.Context, dir string, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = env
	ownGroup(cmd)
	// A child of git that keeps a pipe open, such as a hook, must not keep Wait waiting.
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// runGit runs git and returns its standard output.
func runGit(ctx context.Context, dir string, env []string, stdin []byte, args ...string) (string, error) {
	cmd := gitCommand(ctx, dir, env, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
	}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return stdout.String(), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("git %s: %w", strings.Join(args, " "), context.Cause(ctx))
	case errors.As(err, &exit):
		return "", &CommandError{Args: args, ExitCode: exit.ExitCode(), Stdout: stdout.String(),
			Stderr: stderr.String()}
	default:
		return "", fmt.Errorf("running git: %w", err)
	}
}
