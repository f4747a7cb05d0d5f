using System.Runtime.ExceptionServices;

namespace Hull.Linux.Processes;

/// <summary>Work on a thread that ends with it: what a system call changes of the thread alone does not outlive the work.</summary>
internal static class OwnThread
{
    private const int StackSize = 256 * 1024;

    public static T Run<T>(string name, Func<T> work)
    {
        T? result = default;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                result = work();
            }
            catch (Exception error)
            {
                failure = ExceptionDispatchInfo.Capture(error);
            }
        }, StackSize) { IsBackground = true, Name = name };
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result!;
    }
}
