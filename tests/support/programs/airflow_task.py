"""Runs the task of examples/python/airflow_dag.py, for an environment that has Airflow's SDK.

`python airflow_task.py FOLDER DAY`, with TIERLINE_URL and TIERLINE_API_KEY. The task is called
twice, as Airflow does when it retries one. The scheduler of Airflow does not run.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "python"))

import airflow_dag

airflow_dag.DATA = Path(sys.argv[1])
dag = airflow_dag.ticket_summaries()
assert [task.task_id for task in dag.topological_sort()] == ["today", "summarise"]
summarise = dag.get_task("summarise")
assert summarise.retries == 5
first = Path(summarise.python_callable(sys.argv[2])).read_text()
again = Path(summarise.python_callable(sys.argv[2])).read_text()
assert again == first
print(first, end="")
